"""Plays programs in processes of their own, which are restarted when they fail.

Such a process runs ``python -m tests.same.worker PORT PEERS [--patched]``.  It connects to the
first port, and answers each program and scheduler seed with an outcome.  A "hostile" peer is a
connection to the second port, so that its end is outside of Wine; over the first connection the
program says what this end has to do.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import trio
from trio._core import _run as trio_run

import trio_wsarecv
from tools.children import WINDOWS_PYTHON, child

from .ends import ADDRESS, LocalPeer, contexts
from .outcome import WELL, Outcome, of_error
from .play import Play, Sentinel
from .program import Program

DEADLINE = 12.0  # seconds that a program may take
HANGING = 8.0  # seconds after which a program that still runs shows its stack
STARTS = 3  # attempts to start a process, which may fail under load
LIFETIME = 24 * 3600.0  # seconds that it may live
RECURSION_LIMIT = 300  # low, so that it is reached soon; a program needs much less


class Worker:
    """A process that plays programs."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._listener = socket.create_server(ADDRESS)
        self._peers: list[LocalPeer] = []
        self._stack = ExitStack()
        self._connection: Any = None

    def play(self, program: Program, schedule: int) -> Outcome:
        """Have a program played with this scheduler seed."""
        outcome = Outcome("never")
        try:
            connection = self._connection or self._start()
            connection.send((program, schedule))
            while connection.poll(DEADLINE):
                message = connection.recv()
                if isinstance(message, Outcome):
                    outcome = message
                    break
                connection.send(self._ask_peer(*message))
        except (OSError, EOFError) as exc:
            outcome = Outcome(f"by the end of the process ({exc!r})")
        for peer in self._peers:
            peer.close()
        self._peers.clear()
        if outcome.ended != WELL:
            self._stop()
        return outcome

    def _ask_peer(self, number: int, method: str, *arguments: Any) -> Any:
        # Returns what the peer's method returns, or its error.
        if method == "accept":
            self._peers.append(LocalPeer(self._listener.accept()[0]))
            return None
        try:
            return getattr(self._peers[number], method)(*arguments)
        except OSError as exc:
            return exc

    def _start(self) -> Any:
        listener = self._stack.enter_context(socket.create_server(ADDRESS))
        listener.settimeout(1)
        ports = (str(each.getsockname()[1]) for each in (listener, self._listener))
        command = [*WINDOWS_PYTHON, "-m", "tests.same.worker", *ports, *self._options]
        measured = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
        env = {name: value for name, value in os.environ.items() if name not in measured}
        for _ in range(STARTS):
            process = self._stack.enter_context(
                child(command, LIFETIME, env=env, stdout=subprocess.DEVNULL)
            )
            while process.poll() is None:
                with suppress(TimeoutError):
                    sock, _ = listener.accept()
                    self._connection = self._stack.enter_context(Connection(sock.detach()))
                    return self._connection
        raise ConnectionError("the process does not start")

    def _stop(self) -> None:
        self._connection = None
        self._stack.close()

    def close(self) -> None:
        self._stop()
        self._listener.close()


@contextmanager
def workers() -> Iterator[tuple[Worker, Worker]]:
    """Give a process with stock Trio, and one with this package."""
    plain, patched = Worker(), Worker("--patched")
    try:
        yield plain, patched
    finally:
        plain.close()
        patched.close()


class RemotePeer:
    """A peer in the process that started this one; the first is 0, the next one 1."""

    def __init__(self, connection: Any, number: int) -> None:
        self._connection = connection
        self._number = number
        self._ask("accept")

    def __getattr__(self, name: str) -> Any:
        return partial(self._ask, name)

    def _ask(self, *question: Any) -> Any:
        self._connection.send((self._number, *question))
        return self._connection.recv()

    def send(self, data: bytes) -> None:
        if error := self._ask("send", data):
            raise error


def play(
    program: Program, schedule: int, sentinel: Sentinel, connection: Any, peers: int
) -> Outcome:
    """Play all runs of a program in this process."""
    hostile: list[RemotePeer] = []

    def connect() -> tuple[socket.socket, RemotePeer]:
        sock = socket.create_connection(("127.0.0.1", peers))
        hostile.append(RemotePeer(connection, len(hostile)))
        return sock, hostile[-1]

    play = Play(program, sentinel, connect)
    trio_run._r.seed(schedule)
    try:
        for number in range(len(program.runs)):
            trio.run(play.run, number)
    except BaseException as exc:
        play.outcome.ended = of_error(exc)
    return play.outcome


def main(port: str, peers: str, *options: str) -> None:
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
        outcome = play(program, schedule, sentinel, connection, int(peers))
        faulthandler.cancel_dump_traceback_later()
        connection.send(outcome)
        if outcome.ended != WELL:
            os._exit(0)  # this process is in an unknown state


if __name__ == "__main__":
    main(*sys.argv[1:])
