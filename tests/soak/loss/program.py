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
from dataclasses import asdict, dataclass
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


@dataclass
class Answer:
    """The result.

    Attributes:
      library: what received them, with its version.
      cancelled: how many receives ended in cancellation.
      received: how many bytes they gave in all.
    """

    library: str
    cancelled: int = 0
    received: int = 0

    async def receive_all(self, receive: Callable[[float], Awaitable[bytes | None]]) -> None:
        """Receive to the end by a function that returns None when it timed out."""
        while (data := await receive(random.uniform(0, PATIENCE))) != b"":
            if data is None:
                self.cancelled += 1
            else:
                self.received += len(data)


async def by_asyncio(port: int, answer: Answer) -> None:
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
        await answer.receive_all(receive)


async def by_trio(port: int, answer: Answer) -> None:
    async def receive(seconds: float) -> bytes | None:
        with trio.move_on_after(seconds):
            return bytes(await stream.receive_some(PIECE))
        return None

    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await answer.receive_all(receive)


def main(name: str, port: int) -> None:
    answer = Answer(f"trio {trio.__version__}")
    if name == "trio_wsarecv":
        trio_wsarecv.patch_trio()
        answer.library = f"trio_wsarecv {trio_wsarecv.__version__}, {answer.library}"
    if name.startswith("trio"):
        trio.run(by_trio, port, answer)
        calls = trio_wsarecv.statistics().wsarecv_calls
        if sys.platform == "win32" and bool(calls) is not (name == "trio_wsarecv"):
            raise RuntimeError(f"{calls} calls of WSARecv: this was not {name}")
    else:
        loop: Any = importlib.import_module(name).new_event_loop()
        own = f"asyncio ({type(loop).__name__}), Python {platform.python_version()}"
        answer.library = own if name == "asyncio" else f"{name} {version(name)}"
        loop.run_until_complete(by_asyncio(port, answer))
    print(MARK, json.dumps(asdict(answer)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
