"""Trio, in one of three styles: ``trio_program.py streams|sockets|trio_wsarecv``.

"streams" is an ordinary Trio program, also for ``python -m trio_wsarecv run``.  "sockets" receives
into a buffer by Trio's sockets, "trio_wsarecv" by this package's streams.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio
import trio.testing

from benchmarks import programs
from benchmarks.programs import ANSWER, BURST, LARGE, LENGTH, MESSAGE, PIECE, ROUND


async def discard(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


async def flood(stream: trio.SocketStream, size: int | None = None, answered: int = ROUND) -> None:
    """Receive, and answer each so many bytes; hold the last chunk while the next receive waits."""
    received = 0
    while data := await stream.receive_some(size):
        received += len(data)
        if received >= answered:
            received -= answered
            await stream.send_all(ANSWER)


async def drop(stream: trio.SocketStream) -> None:
    """Receive a burst, and drop each chunk before the next receive."""
    received = 0
    while size := len(await stream.receive_some()):
        received += size
        if received == BURST:
            await stream.send_all(ANSWER)


async def flood_into(stream: Any, receive_into: Callable[[bytearray], Awaitable[int]]) -> None:
    buffer, received = bytearray(LARGE), 0
    while size := await receive_into(buffer):
        received += size
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def frames(stream: Any, receive: Callable[[int], Awaitable[Any]] | None = None) -> None:
    """Receive frames, each after its length, by a function that receives exactly so many bytes."""
    receive = receive or partial(collect, stream)
    with suppress(EOFError):
        while True:
            size = int.from_bytes(await receive(LENGTH), "big")
            if size:
                await receive(size)
            else:
                await stream.send_all(ANSWER)


async def collect(stream: trio.SocketStream, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


async def fill(sock: trio.socket.SocketType, buffer: memoryview, size: int) -> memoryview:
    filled = 0
    while filled < size:
        received = await sock.recv_into(buffer[filled:size])
        if not received:
            raise EOFError
        filled += received
    return buffer[:size]


async def fill_exactly(stream: Any, buffer: memoryview, size: int) -> memoryview:
    await stream.receive_exactly_into(part := buffer[:size])
    return part


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
FRAME: Final = memoryview(bytearray(programs.LARGEST_FRAME))
INTO: Final[dict[str, dict[str, Callable[[Any], Awaitable[None]]]]] = {
    "streams": {},
    "sockets": {
        "bulk": lambda stream: flood_into(stream, stream.socket.recv_into),
        "frames": lambda stream: frames(stream, partial(fill, stream.socket, FRAME)),
    },
    "trio_wsarecv": {
        "bulk": lambda stream: flood_into(stream, stream.receive_into),
        "frames": lambda stream: frames(stream, partial(fill_exactly, stream, FRAME)),
    },
}


async def cancel(streams: list[trio.SocketStream]) -> None:
    while sys.stdin.readline().strip() == "again":
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(stream.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            begin = time.perf_counter()
            nursery.cancel_scope.cancel()
        programs.say("seconds", time.perf_counter() - begin)


async def main() -> None:
    works = WORKS | INTO[sys.argv[1]]
    connect: Any = trio.open_tcp_stream
    if sys.argv[1] == "trio_wsarecv":
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
