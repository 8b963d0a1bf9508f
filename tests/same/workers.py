"""Starts the processes that play programs, asks them, and starts them again when they fail."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any

from tools.children import SET_UP, WINDOWS_PYTHON, child

from .outcome import WELL, Outcome
from .program import Program

#: Seconds that a program may take.
DEADLINE = 12.0
#: Seconds that a worker may live.
LIFETIME = 24 * 3600.0

RESET_ON_CLOSE = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)


class Peers:
    """The far ends of a program's connections that are not in its own process."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []

    def answer(self, question: str, number: int = -1, data: str = "") -> Any:
        match question:
            case "port":
                return self._listener.getsockname()[1]
            case "accept":
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(sock)
                return len(self._sockets) - 1
        sock = self._sockets[number]
        try:
            match question:
                case "send":
                    sock.sendall(bytes.fromhex(data))
                case "finish":
                    sock.shutdown(socket.SHUT_WR)
                case "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    sock.close()
                case "close":
                    sock.close()
                case "received":
                    sock.setblocking(False)
                    return sock.recv(1 << 20).hex()
        except OSError:
            return "" if question == "received" else False
        return True

    def forget(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def close(self) -> None:
        self.forget()
        self._listener.close()


class Worker:
    """A process that plays programs."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._peers = Peers()
        self._stack = ExitStack()
        self._stream: IO[str] | None = None

    def play(self, program: Program, schedule: int) -> Outcome:
        """Have a program played with this seed for Trio's scheduler."""
        request = json.dumps({"program": program.to_json(), "schedule": schedule})
        try:
            return self._ask(self._stream or self._start(), request)
        except TimeoutError:
            self.stop()
            return Outcome(ended="never")
        except OSError as exc:
            self.stop()
            return Outcome(ended=f"by the end of the process ({exc})")
        finally:
            self._peers.forget()

    def _ask(self, stream: IO[str], request: str) -> Outcome:
        while True:
            stream.write(request + "\n")
            stream.flush()
            line = stream.readline()
            if not line:
                raise ConnectionError("no answer")
            answer = json.loads(line)
            if isinstance(answer, dict):
                break
            request = json.dumps(self._peers.answer(*answer))
        outcome = Outcome.from_json(answer["outcome"])
        if outcome.ended != WELL:
            self.stop()
        return outcome

    def _start(self) -> IO[str]:
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(SET_UP)
        port = str(listener.getsockname()[1])
        command = [*WINDOWS_PYTHON, "-m", "tests.same.worker", port, *self._options]
        measured = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
        env = {name: value for name, value in os.environ.items() if name not in measured}
        self._stack.enter_context(child(command, LIFETIME, env=env, stdout=subprocess.DEVNULL))
        sock = self._stack.enter_context(listener.accept()[0])
        sock.settimeout(DEADLINE)
        self._stream = stream = sock.makefile("rw", encoding="ascii", newline="\n")
        return stream

    def stop(self) -> None:
        self._stream = None
        self._stack.close()

    def close(self) -> None:
        self.stop()
        self._peers.close()


@contextmanager
def workers(*options: str) -> Iterator[tuple[Worker, Worker]]:
    """Give one process with plain Trio, and one with these options, usually with this package."""
    plain, patched = Worker(), Worker(*options)
    try:
        yield plain, patched
    finally:
        plain.close()
        patched.close()
