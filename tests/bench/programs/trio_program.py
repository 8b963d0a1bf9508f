"""Trio as it is; an ordinary Trio program, which `python -m trio_wsarecv run` can run, too."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
import trio.testing

from tests.bench.programs import (
    ANSWER,
    BURST,
    HOST,
    LARGE,
    LENGTH,
    MESSAGE,
    PIECE,
    ROUND,
    asked_again,
    say,
    tasks,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Works = Mapping[str, Callable[[Any], Awaitable[None]]]


async def paced(stream: trio.SocketStream) -> None:
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
    """Receive a burst, having dropped each chunk while the next is due."""
    received = 0
    while size := len(await stream.receive_some()):
        received += size
        if received == BURST:
            await stream.send_all(ANSWER)


async def receive_exactly(stream: trio.SocketStream, size: int) -> bytearray | None:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        if not chunk:
            return None
        data += chunk
    return data


async def frames(stream: trio.SocketStream) -> None:
    while header := await receive_exactly(stream, LENGTH):
        size = int.from_bytes(header, "big")
        if size:
            await receive_exactly(stream, size)
        else:
            await stream.send_all(ANSWER)


async def echo(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some(MESSAGE):
        await stream.send_all(data)


async def idle(stream: trio.SocketStream) -> None:
    await stream.receive_some()


WORKS: Final[Works] = {
    "paced": paced,
    "bulk": partial(flood, size=LARGE),
    "chunks": flood,
    "dry": partial(flood, size=PIECE),
    "frames": frames,
    "echo": echo,
    "idle": idle,
    "burst-default": partial(flood, answered=BURST),
    "burst-64k": partial(flood, size=PIECE, answered=BURST),
    "burst-drop": drop,
}


async def cancel(streams: list[trio.SocketStream]) -> None:
    while asked_again():
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(stream.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            begin = time.perf_counter()
            nursery.cancel_scope.cancel()
        say("seconds", time.perf_counter() - begin)


async def perform(connect: Callable[[str, int], Awaitable[Any]], works: Works) -> None:
    """Do what this subject is asked to do."""
    for task in tasks():
        streams = [await connect(HOST, task.port) for _ in range(task.connections)]
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


main = partial(perform, trio.open_tcp_stream, WORKS)

if __name__ == "__main__":
    trio.run(main)
