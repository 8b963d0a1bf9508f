"""asyncio's streams: StreamReader and StreamWriter."""

from __future__ import annotations

import asyncio
import sys

from tests.bench.programs import (
    ANSWER,
    HOST,
    LARGE,
    LENGTH,
    MESSAGE,
    ROUND,
    Task,
    loops,
    say,
    tasks,
)

receives = 0


async def paced(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global receives
    while await reader.read(LARGE):
        receives += 1


async def bulk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    received = 0
    while data := await reader.read(LARGE):
        received += len(data)
        if received >= ROUND:
            received -= ROUND
            writer.write(ANSWER)


async def frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(LENGTH), "big")
            if size:
                await reader.readexactly(size)
            else:
                writer.write(ANSWER)
    except asyncio.IncompleteReadError:
        pass


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(MESSAGE):
        writer.write(data)


async def idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(LARGE)


WORKS = {
    "paced": paced,
    "bulk": bulk,
    "chunks": bulk,
    "frames": frames,
    "echo": echo,
    "idle": idle,
}


async def perform(task: Task) -> None:
    global receives
    receives = 0
    # "chunks" is the work of default sizes; here the size is that of the reader's buffer.
    limit = LARGE if task.work == "bulk" else 64 * 1024
    pairs = [
        await asyncio.open_connection(HOST, task.port, limit=limit) for _ in range(task.connections)
    ]
    for _, writer in pairs:
        task.prepare(writer.get_extra_info("socket"))
    await asyncio.gather(*(WORKS[task.work](*pair) for pair in pairs))
    for _, writer in pairs:
        writer.close()
        await writer.wait_closed()
    say("receives", receives)


async def main() -> None:
    for task in tasks():
        await perform(task)


if __name__ == "__main__":
    loops.run(sys.argv[1], main())
