"""trio_wsarecv, used for what it offers beyond Trio."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_wsarecv
from tests.bench.programs import (
    ANSWER,
    HOST,
    LARGE,
    LARGEST_FRAME,
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


async def paced(stream: trio_wsarecv.SocketStream) -> None:
    global receives
    async for _ in stream:
        receives += 1


async def bulk(stream: trio_wsarecv.SocketStream) -> None:
    buffer = bytearray(LARGE)
    received = 0
    while size := await stream.receive_into(buffer):
        received += size
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def chunks(stream: trio_wsarecv.SocketStream) -> None:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def frames(stream: trio_wsarecv.SocketStream) -> None:
    header = bytearray(LENGTH)
    body = memoryview(bytearray(LARGEST_FRAME))
    try:
        while True:
            await stream.receive_exactly_into(header)
            size = int.from_bytes(header, "big")
            if size:
                await stream.receive_exactly_into(body[:size])
            else:
                await stream.send_all(ANSWER)
    except trio_wsarecv.IncompleteReceiveError:
        pass


async def echo(stream: trio_wsarecv.SocketStream) -> None:
    while data := await stream.receive_some(MESSAGE):
        await stream.send_all(data)


async def idle(stream: trio_wsarecv.SocketStream) -> None:
    await stream.receive_some()


WORKS: dict[str, Callable[[trio_wsarecv.SocketStream], Awaitable[None]]] = {
    "paced": paced,
    "bulk": bulk,
    "chunks": chunks,
    "frames": frames,
    "echo": echo,
    "idle": idle,
    **bursts.WORKS,
}


async def cancel(streams: list[trio_wsarecv.SocketStream]) -> None:
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
    streams = [await trio_wsarecv.open_tcp_stream(HOST, task.port) for _ in range(task.connections)]
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
