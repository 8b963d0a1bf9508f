"""Receives with ``loop.sock_recv``: ``asyncio_program.py asyncio|winloop PORT``.

On Windows, asyncio's own loop is the proactor, whose receives are overlapped.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import platform
import socket
import sys
from collections.abc import Awaitable
from typing import Any

from tests.soak.loss.measure import PIECE, Answer, patience


async def receive_all(port: int, answer: Answer) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        while True:
            try:
                data = await within(patience(), loop.sock_recv(sock, PIECE))
            except asyncio.TimeoutError:
                answer.cancelled += 1
                continue
            if not data:
                break
            answer.received += len(data)


if sys.version_info >= (3, 11):

    async def within(seconds: float, receive: Awaitable[bytes]) -> bytes:
        async with asyncio.timeout(seconds):
            return await receive

else:

    async def within(seconds: float, receive: Awaitable[bytes]) -> bytes:
        return await asyncio.wait_for(receive, seconds)


def main(name: str, port: int) -> None:
    loop: Any
    if name == "asyncio":
        loop = asyncio.new_event_loop()
        answer = Answer(f"asyncio ({type(loop).__name__}), Python {platform.python_version()}")
    else:
        loop = importlib.import_module(name).new_event_loop()
        answer = Answer(f"{name} {importlib.metadata.version(name)}")
    loop.run_until_complete(receive_all(port, answer))
    answer.print()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
