"""Trio as it is; an ordinary Trio program, which `python -m trio_wsarecv run` can run, too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio
import trio.testing

from tests.bench.programs import (
    ANSWER,
    HOST,
    LARGE,
    LENGTH,
    MESSAGE,
    ROUND,
    Task,
    asked_again,
    bursts,
    say,
    tasks,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

receives = 0


async def paced(stream: trio.SocketStream) -> None:
    global receives
    async for _ in stream:
        receives += 1


async def bulk(stream: trio.SocketStream) -> None:
    received = 0
    while data := await stream.receive_some(LARGE):
        received += len(data)
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def chunks(stream: trio.SocketStream) -> None:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received >= ROUND:
            received -= ROUND
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


WORKS: dict[str, Callable[[trio.SocketStream], Awaitable[None]]] = {
    "paced": paced,
    "bulk": bulk,
    "chunks": chunks,
    "frames": frames,
    "echo": echo,
    "idle": idle,
    **bursts.WORKS,
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


async def perform(task: Task) -> None:
    global receives
    receives = 0
    streams = [await trio.open_tcp_stream(HOST, task.port) for _ in range(task.connections)]
    for stream in streams:
        task.prepare(stream.socket)
    if task.work == "cancel":
        await cancel(streams)
    else:
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(WORKS[task.work], stream)
    for stream in streams:
        await stream.aclose()
    say("receives", receives)


async def main() -> None:
    for task in tasks():
        await perform(task)


if __name__ == "__main__":
    trio.run(main)
