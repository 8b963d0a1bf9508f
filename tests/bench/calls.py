"""Counts what Python does for one receive: in the Windows CPython, no clock used.

usage: calls.py trio|trio_wsarecv waiting|at-once RECEIVES [DETAILS]

"waiting": a thread sends each message when the receive before it is done and this one is surely
waiting, so that every receive pends and wakes the run loop once.  "at-once": everything has been
sent before, so that no receive has to wait.  What is counted, by `sys.setprofile` in the
run's own thread, is all that happens from one receive to the next: the receive itself, and Trio's
part in having the task wait and run again.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

import trio_wsarecv

if TYPE_CHECKING:
    from types import FrameType

PAUSE = 0.01  # from the end of one receive to the next message


# Not the program's work: this module's functions, and what only Wine needs.
LEFT_OUT = {"calls.py", "sitecustomize.py"}


def where(code: Any) -> str:
    return f"{Path(code.co_filename).name}:{getattr(code, 'co_qualname', code.co_name)}"


class Profile:
    """How often each function was called: Python's own and those written in C."""

    def __init__(self) -> None:
        self.python: Counter[str] = Counter()
        self.native: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if Path(frame.f_code.co_filename).name in LEFT_OUT:
            return
        if event == "call":
            self.python[where(frame.f_code)] += 1
        elif event == "c_call":
            self.native[
                f"{getattr(argument, '__qualname__', argument)} in {where(frame.f_code)}"
            ] += 1


class CountedLibrary:
    """A library of Trio's, with its calls counted."""

    def __init__(self, library: Any, calls: Counter[str]) -> None:
        self._library = library
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)
        calls = self._calls

        def counted(*arguments: Any) -> Any:
            calls[name] += 1
            return function(*arguments)

        setattr(self, name, counted)
        return counted


class Sender(threading.Thread):
    """Sends a message some time after each release of the lock."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self.received = threading.Lock()
        self._sock = sock

    def run(self) -> None:
        while True:
            self.received.acquire()
            time.sleep(PAUSE)
            self._sock.send(bytes(MESSAGE))


def connected_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


MESSAGE = 64


async def receive(stream: trio.abc.ReceiveStream, sender: Sender | None, count: int) -> None:
    for _ in range(count):
        if sender is not None:
            sender.received.release()
        await stream.receive_some(MESSAGE)


async def measure(kind: str, waiting: bool, count: int) -> tuple[Profile, dict[str, float]]:
    one, other = connected_pair()
    stream: trio.abc.ReceiveStream
    if kind == "trio":
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(one))
    else:
        stream = trio_wsarecv.SocketStream(trio_wsarecv.from_stdlib_socket(one))
    sender = None
    if waiting:
        sender = Sender(other)
        sender.received.acquire()
        sender.start()
    else:
        other.sendall(bytes(MESSAGE * (2 * count + 5)))
        await trio.sleep(PAUSE)
    await receive(stream, sender, 5)
    # Trio shuffles the tasks that are to run, which takes one call more or less.
    sys.modules["trio._core._run"].__dict__["_r"].seed(0)

    profile = Profile()
    sys.setprofile(profile)
    await receive(stream, sender, count)
    sys.setprofile(None)

    calls: Counter[str] = Counter()
    trio_module: Any = sys.modules["trio._core._io_windows"]
    trio_module.kernel32 = CountedLibrary(trio_module.kernel32, calls)
    before = trio_wsarecv.statistics()
    await receive(stream, sender, count)
    after = trio_wsarecv.statistics()
    calls["recv"] = sum(
        number for name, number in profile.native.items() if name.startswith("socket.recv")
    )
    calls["WSARecv"] = after.wsarecv_calls - before.wsarecv_calls
    for name in ("pended", "immediate"):
        calls[name] = getattr(after, name) - getattr(before, name)
    trio_module.kernel32 = trio_module.kernel32._library
    return profile, {name: number / count for name, number in calls.items()}


def main() -> None:
    kind, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    profile, calls = trio.run(measure, kind, mode == "waiting", count)
    result: dict[str, Any] = {
        "python": profile.python.total() / count,
        "native": profile.native.total() / count,
        "calls": calls,
    }
    if len(sys.argv) > 4:
        for name, counter in (("python", profile.python), ("native", profile.native)):
            result[f"{name} functions"] = {key: n / count for key, n in counter.most_common()}
    print("bench calls", json.dumps(result))


if __name__ == "__main__":
    main()
