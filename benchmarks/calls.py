"""Counts what Python does for one receive, in the Windows CPython; no clock is involved.

usage: calls.py trio|trio_wsarecv waiting|inline|burst RECEIVES

"waiting": a thread sends each message only when the receive is waiting, so every receive pends and
wakes the run loop once.  "inline": everything has been sent before, so no receive has to wait.
"burst": the same as "waiting", just after a burst.

The stream is one that ``open_tcp_stream`` made.  `sys.setprofile`, in the thread of the run, counts
all that happens from one receive to the next: the receive itself, and what Trio does to put the
task to sleep and to run it again.  Calls of Windows are counted as Trio and the package make them,
and so are the bytes of the buffers that the kernel gets.
"""

from __future__ import annotations

import json
import queue
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Final

import trio

import trio_wsarecv
from benchmarks import libraries
from benchmarks.programs import BURST, MESSAGE

PAUSE: Final = 0.01  # seconds from the end of one receive to the next message
WARM_UP: Final = 5

#: Not a part of the program: this module, the wrappers, and what only Wine needs.
LEFT_OUT: Final = {"calls.py", "libraries.py", "sitecustomize.py"}
#: The functions of the system that a receive may need.
SYSTEM: Final = {"WSARecv", "GetQueuedCompletionStatusEx", "DeviceIoControl", "CancelIoEx"}


class Counts(Counter[str]):
    """How often each kind of function was called, as a profiler."""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if Path(frame.f_code.co_filename).name in LEFT_OUT:
            return
        self["python"] += event == "call"
        self["native"] += event == "c_call"
        name = getattr(argument, "__qualname__", "")
        self["system"] += event == "c_call" and name.startswith("socket.recv")

    def wrap(self, name: str, function: Any) -> Any:
        """Return a function that is counted as one of the system."""

        def call(*arguments: Any) -> Any:
            self["system"] += name in SYSTEM
            if name == "WSARecv":
                _, buffers, count, *_ = arguments
                self["posted"] += sum(buffers[i].len for i in range(count))
            return function(*arguments)

        return call


def send_when_asked(sock: socket.socket, asked: queue.SimpleQueue[None]) -> None:
    while True:
        asked.get()
        time.sleep(PAUSE)
        sock.send(bytes(MESSAGE))


async def measure(kind: str, mode: str, count: int) -> Counter[str]:
    counts = Counts()
    libraries.wrap_all(counts.wrap)
    package: Any = trio if kind == "trio" else trio_wsarecv
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await package.open_tcp_stream(*listener.getsockname())
        other, _ = listener.accept()
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    async def receive(times: int, size: int | None = MESSAGE) -> None:
        for _ in range(times):
            asked.put(None)
            await stream.receive_some(size)

    if mode == "inline":
        other.sendall(bytes(MESSAGE * (count + WARM_UP)))
        await trio.sleep(PAUSE)
    else:
        threading.Thread(target=send_when_asked, args=(other, asked), daemon=True).start()
    if mode == "burst":
        threading.Thread(target=other.sendall, args=(bytes(BURST),)).start()
        received = 0
        while received < BURST:
            received += len(await stream.receive_some())
    else:
        await receive(WARM_UP)
    # Trio shuffles the tasks that are to run, which takes one call more or less.
    sys.modules["trio._core._run"].__dict__["_r"].seed(0)
    counts.clear()
    sys.setprofile(counts)
    await receive(count, None if mode == "burst" else MESSAGE)
    sys.setprofile(None)
    return counts.copy()  # before the end of the run adds to it


def main() -> None:
    kind, mode, count = sys.argv[1:]
    counts = trio.run(measure, kind, mode, int(count))
    result = {name: number / int(count) for name, number in counts.items()}
    print("bench calls", json.dumps(result))


if __name__ == "__main__":
    main()
