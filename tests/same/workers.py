"""Starts the processes that play programs, and restarts them when they fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from tools.children import SET_UP, WINDOWS_PYTHON, child

from .ends import LocalPeer, accept, listen
from .outcome import WELL, Outcome
from .program import Program

#: Seconds that a program may take.
DEADLINE = 12.0
#: Seconds that a worker may live.
LIFETIME = 24 * 3600.0


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
            self.stop()
        return outcome

    def _start(self) -> Any:
        listener = self._stack.enter_context(listen())
        listener.settimeout(SET_UP)
        port = str(listener.getsockname()[1])
        command = [*WINDOWS_PYTHON, "-m", "tests.same.worker", port, *self._options]
        measured = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
        env = {name: value for name, value in os.environ.items() if name not in measured}
        self._stack.enter_context(child(command, LIFETIME, env=env, stdout=subprocess.DEVNULL))
        sock, _ = listener.accept()
        self._connection = self._stack.enter_context(Connection(sock.detach()))
        return self._connection

    def stop(self) -> None:
        self._connection = None
        self._stack.close()

    def close(self) -> None:
        self.stop()
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
