"""Profiles a program or a receive by cProfile, in the Windows CPython.

usage: profiled.py TARGET program SCRIPT ARGUMENTS
       profiled.py TARGET receives trio|trio_wsarecv waiting|inline|burst RECEIVES

Of a program the function ``main`` is profiled.  Of receives, all that happens from one to the next:
the receive itself, and what Trio does to put the task to sleep and to run it again.  In "waiting" a
thread sends each message only when the receive is waiting, so every receive pends and wakes the run
loop once.  In "inline" everything has been sent before, so no receive has to wait.  "burst" is the
same as "waiting", just after a burst.  The bytes of the buffers that the kernel gets are reported.

The profiler does not see calls of a DLL by cffi, but it sees calls of a Python function.  So all
functions that Trio and this package call are wrapped by functions of the same name.
"""

from __future__ import annotations

import cProfile
import queue
import runpy
import socket
import sys
import threading
import time
from typing import Any, Final

import trio

import trio_wsarecv
from benchmarks.programs import BURST, MESSAGE, say

#: The types of cffi's libraries, with declarations of its own and with generated ones.
TYPES: Final = {"FFILibrary", "Lib"}
PAUSE: Final = 0.01  # seconds from the end of one receive to the next message
WARM_UP: Final = 5


posted: list[int] = []  # the sizes of the buffers


class Library:
    """A library, with each of its functions wrapped; it can keep what is posted."""

    def __init__(self, library: Any, keep: bool) -> None:
        self._library = library
        self._keep = keep

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)

        def call(*arguments: Any) -> Any:
            return function(*arguments)

        def post(*arguments: Any) -> Any:
            _, buffers, count, *_ = arguments
            posted.extend(buffers[i].len for i in range(count))
            return function(*arguments)

        wrapper = post if self._keep and name == "WSARecv" else call
        wrapper.__code__ = wrapper.__code__.replace(co_name=name)
        setattr(self, name, wrapper)
        return wrapper


def wrap_libraries(*, keep: bool) -> None:
    """Wrap the functions of all libraries that Trio's modules and ours have."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"trio", "trio_wsarecv"}:
            for attribute, value in list(vars(module).items()):
                if type(value).__name__ in TYPES:
                    setattr(module, attribute, Library(value, keep))


def send_when_asked(sock: socket.socket, asked: queue.SimpleQueue[None]) -> None:
    while True:
        asked.get()
        time.sleep(PAUSE)
        sock.send(bytes(MESSAGE))


async def receives(profile: cProfile.Profile, kind: str, mode: str, count: int) -> None:
    wrap_libraries(keep=True)
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
    posted.clear()
    profile.enable()
    await receive(count, None if mode == "burst" else MESSAGE)
    profile.disable()
    say("posted", sum(posted))


if __name__ == "__main__":
    target, command, script, *arguments = sys.argv[1:]
    profile = cProfile.Profile()
    if command == "receives":
        mode, count = arguments
        trio.run(receives, profile, script, mode, int(count))
    else:
        sys.argv[:] = [script, *arguments]
        main = runpy.run_path(script)["main"]
        wrap_libraries(keep=False)
        with profile:
            trio.run(main)
    profile.dump_stats(target)
