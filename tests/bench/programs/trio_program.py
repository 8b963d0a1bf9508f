"""Trio, in one of three styles: ``trio_program.py streams|sockets|trio_wsarecv``.

With "streams" it is an ordinary Trio program, which ``python -m trio_wsarecv run`` can run, too.
Trio's sockets, below its streams, can receive into a buffer; with "trio_wsarecv" it uses what this
package has for that.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
import trio.testing

from tests.bench import programs
from tests.bench.programs import ANSWER, BURST, LARGE, LENGTH, MESSAGE, PIECE, ROUND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def discard(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


async def flood(stream: trio.SocketStream, size: int | None = None, answered: int = ROUND) -> None:
    """Receive, and answer each so many bytes; the last chunk is at hand while the next is due."""
    received = 0
    while data := await stream.receive_some(size):
        received += len(data)
        if received >= answered:
            received -= answered
            await stream.send_all(ANSWER)


async def drop(stream: trio.SocketStream) -> None:
    """The same with a burst, but each chunk is dropped while the next is due."""
    received = 0
    while size := len(await stream.receive_some()):
        received += size
        if received == BURST:
            await stream.send_all(ANSWER)


async def flood_into(stream: Any, receive_into: Callable[[bytearray], Awaitable[int]]) -> None:
    buffer = bytearray(LARGE)
    received = 0
    while size := await receive_into(buffer):
        received += size
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def frames(stream: trio.SocketStream) -> None:
    async def receive_exactly(size: int) -> bytearray | None:
        data = bytearray()
        while len(data) < size:
            chunk = await stream.receive_some(size - len(data))
            if not chunk:
                return None
            data += chunk
        return data

    while header := await receive_exactly(LENGTH):
        size = int.from_bytes(header, "big")
        if size:
            await receive_exactly(size)
        else:
            await stream.send_all(ANSWER)


async def frames_into(stream: Any, fill: Callable[[memoryview], Awaitable[None]]) -> None:
    header = memoryview(bytearray(LENGTH))
    body = memoryview(bytearray(programs.LARGEST_FRAME))
    try:
        while True:
            await fill(header)
            size = int.from_bytes(header, "big")
            if size:
                await fill(body[:size])
            else:
                await stream.send_all(ANSWER)
    except EOFError:
        pass


async def fill(sock: trio.socket.SocketType, buffer: memoryview) -> None:
    filled = 0
    while filled < len(buffer):
        size = await sock.recv_into(buffer[filled:])
        if not size:
            raise EOFError
        filled += size


async def echo(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some(MESSAGE):
        await stream.send_all(data)


WORKS: Final[dict[str, Callable[[Any], Awaitable[None]]]] = {
    "paced": discard,
    "idle": discard,
    "bulk": partial(flood, size=LARGE),
    "chunks": flood,
    "dry": partial(flood, size=PIECE),
    "frames": frames,
    "echo": echo,
    "burst-default": partial(flood, answered=BURST),
    "burst-64k": partial(flood, size=PIECE, answered=BURST),
    "burst-drop": drop,
}
INTO: Final[dict[str, dict[str, Callable[[Any], Awaitable[None]]]]] = {
    "streams": {},
    "sockets": {
        "bulk": lambda stream: flood_into(stream, stream.socket.recv_into),
        "frames": lambda stream: frames_into(stream, partial(fill, stream.socket)),
    },
    "trio_wsarecv": {
        "bulk": lambda stream: flood_into(stream, stream.receive_into),
        "frames": lambda stream: frames_into(stream, stream.receive_exactly_into),
    },
}


async def cancel(streams: list[trio.SocketStream]) -> None:
    while programs.asked_again():
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(stream.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            begin = time.perf_counter()
            nursery.cancel_scope.cancel()
        programs.say("seconds", time.perf_counter() - begin)


async def main() -> None:
    style = sys.argv[1]
    works = WORKS | INTO[style]
    connect: Any = trio.open_tcp_stream
    if style == "trio_wsarecv":
        from trio_wsarecv import open_tcp_stream as connect
    for task in programs.tasks():
        streams = [await connect(programs.HOST, task.port) for _ in range(task.connections)]
        for stream in streams:
            task.prepare(stream.socket)
        if task.work == "cancel":
            await cancel(streams)
        else:
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(works[task.work], stream)
        for stream in streams:
            await stream.aclose()


if __name__ == "__main__":
    trio.run(main)
