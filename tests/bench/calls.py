"""Counts what Python does for one receive: in the Windows CPython, no clock used.

usage: calls.py trio|trio_wsarecv waiting|inline|burst RECEIVES

waiting
   a thread sends each message when the receive before it is done and this one is surely waiting,
   so that every receive pends and wakes the run loop once
inline
   everything has been sent before, so that no receive has to wait
burst
   the same as waiting, just after a burst

The stream is one that ``open_tcp_stream`` made.  What is counted, by `sys.setprofile` in the run's
own thread, is all that happens from one receive to the next: the receive itself, and Trio's part in
having the task wait and run again.  Calls of Windows are counted as Trio and the package make them,
and so are the bytes that they give the kernel room for.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

import trio_wsarecv
from tests.bench import libraries
from tests.bench.programs import BURST, MESSAGE

if TYPE_CHECKING:
    from types import FrameType

PAUSE: Final = 0.01  # from the end of one receive to the next message
WARM_UP: Final = 5

#: Not the program's work: this module's functions, what counts calls, and what only Wine needs.
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


class Sender(threading.Thread):
    """Sends a message some time after each release of the lock."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self.received = threading.Lock()
        self.received.acquire()
        self._sock = sock
        self.start()

    def run(self) -> None:
        while True:
            self.received.acquire()
            time.sleep(PAUSE)
            self._sock.send(bytes(MESSAGE))


async def receive(stream: Any, size: int | None, sender: Sender | None, count: int) -> None:
    for _ in range(count):
        if sender is not None:
            sender.received.release()
        await stream.receive_some(size)


async def measure(kind: str, mode: str, count: int) -> Counts:
    counts = Counts()
    libraries.wrap_all(counts.wrap)
    package: Any = trio if kind == "trio" else trio_wsarecv
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await package.open_tcp_stream(*listener.getsockname())
        other, _ = listener.accept()
    sender, size = None, None if mode == "burst" else MESSAGE
    if mode == "burst":
        threading.Thread(target=other.sendall, args=(bytes(BURST),)).start()
        received = 0
        while received < BURST:
            received += len(await stream.receive_some())
    elif mode == "inline":
        other.sendall(bytes(MESSAGE * (count + WARM_UP)))
        await trio.sleep(PAUSE)
    if mode != "inline":
        sender = Sender(other)
    if mode != "burst":
        await receive(stream, size, sender, WARM_UP)
    # Trio shuffles the tasks that are to run, which takes one call more or less.
    sys.modules["trio._core._run"].__dict__["_r"].seed(0)
    counts.clear()
    sys.setprofile(counts)
    await receive(stream, size, sender, count)
    sys.setprofile(None)
    return counts


def main() -> None:
    kind, mode, count = sys.argv[1:]
    counts = trio.run(measure, kind, mode, int(count))
    result = {name: number / int(count) for name, number in counts.items()}
    print("bench calls", json.dumps(result))


if __name__ == "__main__":
    main()
