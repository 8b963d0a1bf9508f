"""Plays programs in a process of its own: ``python -m tests.same.worker PORT [--patched]``.

It connects to that port, and answers each program and scheduler seed with an outcome.  Meanwhile it
may ask for something that only a peer outside of Wine can do.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import trio
from trio._core import _run as trio_run

import trio_wsarecv

from .ends import contexts
from .outcome import WELL, Outcome, of_error
from .play import Play, Sentinel
from .program import Program

#: Low, so that it is reached soon; a program needs much less.
RECURSION_LIMIT = 300

#: Seconds after which a program that still runs shows its stack.
HANGING = 8.0


class RemotePeer:
    """A peer in the process that started this one, or the object that makes peers there."""

    def __init__(self, connection: Any, number: int | None = None) -> None:
        self._connection = connection
        self._number = number

    def __getattr__(self, name: str) -> Any:
        return partial(self._ask, name)

    def _ask(self, *question: Any) -> Any:
        self._connection.send((self._number, *question))
        return self._connection.recv()

    def send(self, data: bytes) -> None:
        if self._ask("send", data) is False:
            raise BrokenPipeError

    def received(self) -> bytes:
        return self._ask("received") or b""


def play(program: Program, schedule: int, sentinel: Sentinel, connection: Any) -> Outcome:
    """Play all runs of a program."""

    def connect() -> tuple[socket.socket, Any]:
        peers = RemotePeer(connection)
        sock = socket.create_connection(("127.0.0.1", peers.port()))
        return sock, RemotePeer(connection, peers.accept())

    play = Play(program, sentinel, connect)
    trio_run._r.seed(schedule)
    try:
        for number in range(len(program.runs)):
            trio.run(play.run, number)
    except BaseException as exc:
        play.outcome.ended = of_error(exc)
    return play.outcome


def main(port: str, *options: str) -> None:
    contexts()
    if "--patched" in options:
        trio_wsarecv.patch_trio()
    sentinel = Sentinel()
    sys.setrecursionlimit(RECURSION_LIMIT)
    connection = Connection(socket.create_connection(("127.0.0.1", int(port))).detach())
    while True:
        try:
            program, schedule = connection.recv()
        except EOFError:
            break
        faulthandler.dump_traceback_later(HANGING)
        outcome = play(program, schedule, sentinel, connection)
        faulthandler.cancel_dump_traceback_later()
        connection.send(outcome)
        if outcome.ended != WELL:
            os._exit(0)  # this process is in an unknown state


if __name__ == "__main__":
    main(*sys.argv[1:])
