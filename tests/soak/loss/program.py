"""Receives with one library, and cancels receives: ``program.py LIBRARY PORT``.

LIBRARY is asyncio or winloop, which receive by ``loop.sock_recv``, or trio or trio_wsarecv, which
receive by a stream's ``receive_some``.  On Windows, asyncio's own loop is the proactor,
whose receives are overlapped.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import platform
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import trio

import trio_wsarecv

TOTAL = 32 << 20
PIECE = 16 << 10
#: The most seconds until a receive is cancelled.
PATIENCE = 0.002
#: The most seconds between two pieces.
PAUSE = 0.008

#: The beginning of the line with the answer.
MARK = "loss"


async def receive_all(receive: Callable[[float], Awaitable[bytes | None]]) -> tuple[int, int]:
    """Receive to the end by a function that returns None when it timed out.

    Returns how many receives were cancelled, and how many bytes they gave in all.
    """
    cancelled = received = 0
    while (data := await receive(random.uniform(0, PATIENCE))) != b"":
        cancelled += data is None
        received += len(data or b"")
    return cancelled, received


async def by_asyncio(port: int) -> tuple[int, int]:
    loop = asyncio.get_running_loop()

    async def receive(seconds: float) -> bytes | None:
        try:
            if sys.version_info < (3, 11):
                return await asyncio.wait_for(loop.sock_recv(sock, PIECE), seconds)
            async with asyncio.timeout(seconds):
                return await loop.sock_recv(sock, PIECE)
        except asyncio.TimeoutError:
            return None

    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        return await receive_all(receive)


async def by_trio(port: int) -> tuple[int, int]:
    async def receive(seconds: float) -> bytes | None:
        with trio.move_on_after(seconds):
            return bytes(await stream.receive_some(PIECE))
        return None

    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        return await receive_all(receive)


def main(name: str, port: int) -> None:
    library = f"trio {trio.__version__}"
    if name == "trio_wsarecv":
        trio_wsarecv.patch_trio()
        library = f"trio_wsarecv {trio_wsarecv.__version__}, {library}"
    if name.startswith("trio"):
        counts = trio.run(by_trio, port)
        calls = trio_wsarecv.statistics().wsarecv_calls
        if sys.platform == "win32" and bool(calls) is not (name == "trio_wsarecv"):
            raise RuntimeError(f"{calls} calls of WSARecv: this was not {name}")
    else:
        loop: Any = importlib.import_module(name).new_event_loop()
        own = f"asyncio ({type(loop).__name__}), Python {platform.python_version()}"
        library = own if name == "asyncio" else f"{name} {version(name)}"
        counts = loop.run_until_complete(by_asyncio(port))
    print(MARK, json.dumps([library, *counts]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
