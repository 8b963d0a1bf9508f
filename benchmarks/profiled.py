"""Profiles a receive or a program, in the Windows CPython.

usage: profiled.py calls trio|trio_wsarecv waiting|inline|burst RECEIVES
       profiled.py time TARGET SCRIPT ARGUMENTS

"calls" counts what Python does for one receive of a stream that ``open_tcp_stream`` made.  In
"waiting" a thread sends each message only when the receive is waiting, so every receive pends and
wakes the run loop once.  In "inline" everything has been sent before, so no receive has to wait.
"burst" is the same as "waiting", just after a burst.  `sys.setprofile`, in the thread of the run,
counts all that happens from one receive to the next: the receive itself, and what Trio does to put
the task to sleep and to run it again.  So are the bytes of the buffers that the kernel gets.

"time" profiles the main function of a subject by cProfile.

Profilers do not see calls of a DLL by cffi, but they see calls of a wrapper.  So all functions that
Trio and this package call are wrapped.
"""

from __future__ import annotations

import cProfile
import json
import queue
import runpy
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import trio

import trio_wsarecv
from benchmarks.programs import BURST, MESSAGE

#: The types of cffi's libraries, with declarations of its own and with generated ones.
TYPES: Final = {"FFILibrary", "Lib"}


class Library:
    """A library, with each of its functions wrapped."""

    def __init__(self, library: Any, wrap: Callable[[str, Any], Any]) -> None:
        self._library = library
        self._wrap = wrap

    def __getattr__(self, name: str) -> Any:
        function = self._wrap(name, getattr(self._library, name))
        setattr(self, name, function)
        return function


def wrap_all(wrap: Callable[[str, Any], Any]) -> None:
    """Wrap the functions of all libraries that Trio's modules and ours have."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"trio", "trio_wsarecv"}:
            for attribute, value in list(vars(module).items()):
                if type(value).__name__ in TYPES:
                    setattr(module, attribute, Library(value, wrap))


def visible(name: str, function: Any) -> Any:
    """Return a Python function of that name that calls the function."""

    def call(*arguments: Any) -> Any:
        return function(*arguments)

    call.__code__ = call.__code__.replace(co_name=name)
    return call


PAUSE: Final = 0.01  # seconds from the end of one receive to the next message
WARM_UP: Final = 5

#: Not a part of the program: this module, the wrappers, and what only Wine needs.
LEFT_OUT: Final = {"profiled.py", "sitecustomize.py"}
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
    wrap_all(counts.wrap)
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


def count_calls(kind: str, mode: str, count: str) -> None:
    counts = trio.run(measure, kind, mode, int(count))
    result = {name: number / int(count) for name, number in counts.items()}
    print("bench calls", json.dumps(result))


def measure_time(target: str, *arguments: str) -> None:
    sys.argv[:] = arguments
    main = runpy.run_path(arguments[0])["main"]
    wrap_all(visible)
    with cProfile.Profile() as profile:
        trio.run(main)
    profile.dump_stats(target)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    (count_calls if command == "calls" else measure_time)(*rest)
