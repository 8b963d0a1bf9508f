"""Plays programs in processes of their own, which are restarted when they fail.

Such a process runs ``python -m tests.same.worker PORT [--patched]``.  It connects to that port, and
answers each program and scheduler seed with an outcome.  Meanwhile it may ask for something that
only a peer outside of Wine can do.
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

from .ends import LocalPeer, accept, contexts, listen
from .outcome import WELL, Outcome, of_error
from .play import Play, Sentinel
from .program import Program

#: Seconds that a program may take.
DEADLINE = 12.0
#: Seconds after which a program that still runs shows its stack.
HANGING = 8.0
#: How often it is started before that counts as an end of the process; it may fail under load.
STARTS = 3
#: Seconds that a worker may live.
LIFETIME = 24 * 3600.0
#: Low, so that it is reached soon; a program needs much less.
RECURSION_LIMIT = 300


class Peers:
    """The peers of a program that are not in its own process."""

    def __init__(self) -> None:
        self._listener = listen()
        self._peers: list[LocalPeer] = []

    def answer(self, number: int | None, method: str, *arguments: Any) -> Any:
        """Return what a method of this object or of a peer returns, or False if it fails."""
        owner = self if number is None else self._peers[number]
        with suppress(OSError):
            return getattr(owner, method)(*arguments)
        return False

    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def accept(self) -> int:
        self._peers.append(LocalPeer(accept(self._listener)))
        return len(self._peers) - 1

    def forget(self) -> None:
        for peer in self._peers:
            peer.close()
        self._peers.clear()

    def close(self) -> None:
        self.forget()
        self._listener.close()


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


class Worker:
    """A process that plays programs."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._peers = Peers()
        self._stack = ExitStack()
        self._connection: Any = None

    def play(self, program: Program, schedule: int) -> Outcome:
        """Have a program played with this scheduler seed."""
        request: Any = (program, schedule)
        try:
            connection = self._connection or self._start()
            while True:
                connection.send(request)
                if not connection.poll(DEADLINE):
                    outcome = Outcome(ended="never")
                    break
                answer = connection.recv()
                if isinstance(answer, Outcome):
                    outcome = answer
                    break
                request = self._peers.answer(*answer)
        except (OSError, EOFError) as exc:
            outcome = Outcome(ended=f"by the end of the process ({exc!r})")
        finally:
            self._peers.forget()
        if outcome.ended != WELL:
            self._stop()
        return outcome

    def _start(self) -> Any:
        listener = self._stack.enter_context(listen())
        listener.settimeout(1)
        port = str(listener.getsockname()[1])
        command = [*WINDOWS_PYTHON, "-m", "tests.same.worker", port, *self._options]
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
        self._peers.close()


@contextmanager
def workers(*options: str) -> Iterator[tuple[Worker, Worker]]:
    """Give a process with stock Trio, and one with these options, usually with this package."""
    plain, patched = Worker(), Worker(*options)
    try:
        yield plain, patched
    finally:
        plain.close()
        patched.close()


def play(program: Program, schedule: int, sentinel: Sentinel, connection: Any) -> Outcome:
    """Play all runs of a program in this process."""

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
