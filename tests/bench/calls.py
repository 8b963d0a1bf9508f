"""Counts what Python does for one receive: in the Windows CPython, no clock used.

usage: calls.py trio|trio_wsarecv waiting|inline receive_some|recv RECEIVES [DETAILS]

"waiting": a thread sends each message when the receive before it is done and this one is surely
waiting, so that every receive pends and wakes the run loop once.  "inline": everything has been
sent before, so that no receive has to wait.  The socket is one that ``open_tcp_stream`` made; the
receives are those of its stream, or its own.  What is counted, by `sys.setprofile` in the run's own
thread, is all that happens from one receive to the next: the receive itself, and Trio's part in
having the task wait and run again.  Calls of Windows are counted as Trio and the package make them.
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
from tests.bench import libraries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

PAUSE = 0.01  # from the end of one receive to the next message
MESSAGE = 64
WARM_UP = 5

# Not the program's work: this module's functions, what counts calls, and what only Wine needs.
LEFT_OUT = {"calls.py", "libraries.py", "sitecustomize.py"}


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


async def receive(
    receive_some: Callable[[int], Awaitable[bytes]], sender: Sender | None, count: int
) -> None:
    for _ in range(count):
        if sender is not None:
            sender.received.release()
        await receive_some(MESSAGE)


async def measure(
    kind: str, waiting: bool, call: str, count: int
) -> tuple[Profile, dict[str, float]]:
    calls: Counter[str] = Counter()

    def counted(name: str, function: Any) -> Any:
        def call_and_count(*arguments: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return function(*arguments)

        return call_and_count

    libraries.wrap_all(counted)
    stream: trio.SocketStream | trio_wsarecv.SocketStream
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        if kind == "trio":
            stream = await trio.open_tcp_stream(host, port)
        else:
            stream = await trio_wsarecv.open_tcp_stream(host, port)
        other, _ = listener.accept()
    receive_some = stream.receive_some if call == "receive_some" else stream.socket.recv
    sender = None
    if waiting:
        sender = Sender(other)
        sender.received.acquire()
        sender.start()
    else:
        other.sendall(bytes(MESSAGE * (count + WARM_UP)))
        await trio.sleep(PAUSE)
    await receive(receive_some, sender, WARM_UP)
    # Trio shuffles the tasks that are to run, which takes one call more or less.
    sys.modules["trio._core._run"].__dict__["_r"].seed(0)

    profile = Profile()
    before = trio_wsarecv.statistics()
    calls.clear()
    sys.setprofile(profile)
    await receive(receive_some, sender, count)
    sys.setprofile(None)
    after = trio_wsarecv.statistics()
    calls["recv"] = sum(
        number for name, number in profile.native.items() if name.startswith("socket.recv")
    )
    for name in ("overlapped", "pended", "immediate"):
        calls[name] = getattr(after, name) - getattr(before, name)
    return profile, {name: number / count for name, number in calls.items()}


def main() -> None:
    kind, mode, call, count = *sys.argv[1:4], int(sys.argv[4])
    profile, calls = trio.run(measure, kind, mode == "waiting", call, count)
    result: dict[str, Any] = {
        "python": profile.python.total() / count,
        "native": profile.native.total() / count,
        "calls": calls,
    }
    if len(sys.argv) > 5:
        for name, counter in (("python", profile.python), ("native", profile.native)):
            result[f"{name} functions"] = {key: n / count for key, n in counter.most_common()}
    print("bench calls", json.dumps(result))


if __name__ == "__main__":
    main()
