"""Plays programs in a process of its own: ``python -m tests.same.worker PORT [--patched]``.

It connects to that port and gets one request a line: a program, and a seed for Trio's scheduler.
It answers with one line: the outcome.  Meanwhile it may ask for something that only a peer outside
of Wine can do.
"""

from __future__ import annotations

import faulthandler
import json
import os
import socket
import sys
from typing import IO, Any

import trio
from trio._core import _run as trio_run

import trio_wsarecv

from .ends import contexts
from .outcome import WELL, Outcome, of_error
from .play import Play, Sentinel
from .program import Program

#: Low, so that reaching it takes little time; a program needs much less.
RECURSION_LIMIT = 300

#: Seconds after which a program that goes on shows where it is.
HANGING = 8.0


class Remote:
    """Asks the process that started this one."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def say(self, message: Any) -> None:
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()

    def hear(self) -> Any:
        line = self._stream.readline()
        return json.loads(line) if line else None

    def ask(self, *question: Any) -> Any:
        self.say(question)
        return self.hear()

    def connect(self) -> tuple[socket.socket, RemotePeer]:
        sock = socket.create_connection(("127.0.0.1", self.ask("port")))
        return sock, RemotePeer(self, self.ask("accept"))


class RemotePeer:
    """A peer in the process that started this one."""

    def __init__(self, remote: Remote, number: int) -> None:
        self._remote = remote
        self._number = number

    def send(self, data: bytes) -> None:
        if not self._remote.ask("send", self._number, data.hex()):
            raise BrokenPipeError

    def finish(self) -> None:
        self._remote.ask("finish", self._number)

    def reset(self) -> None:
        self._remote.ask("reset", self._number)

    def received(self) -> bytes:
        return bytes.fromhex(self._remote.ask("received", self._number))

    def close(self) -> None:
        self._remote.ask("close", self._number)


def play(program: Program, schedule: int, sentinel: Sentinel, remote: Remote) -> Outcome:
    """Play all runs of a program."""
    play = Play(program, sentinel, remote.connect)
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
    with socket.create_connection(("127.0.0.1", int(port))) as sock:
        remote = Remote(sock.makefile("rw", encoding="ascii", newline="\n"))
        while (request := remote.hear()) is not None:
            program = Program.from_json(request["program"])
            faulthandler.dump_traceback_later(HANGING)
            outcome = play(program, request["schedule"], sentinel, remote)
            faulthandler.cancel_dump_traceback_later()
            remote.say({"outcome": outcome.to_json()})
            if outcome.ended != WELL:
                os._exit(0)  # nothing here can be relied on any more


if __name__ == "__main__":
    main(*sys.argv[1:])
