"""asyncio's BufferedProtocol: callbacks that say where to receive into."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from tests.bench.programs import (
    ANSWER,
    HOST,
    LARGE,
    LARGEST_FRAME,
    LENGTH,
    MESSAGE,
    ROUND,
    Task,
    loops,
    say,
    tasks,
)

receives = 0


class Idle(asyncio.BufferedProtocol):
    size = MESSAGE

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self.buffer = memoryview(bytearray(self.size))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def answer(self) -> None:
        # From the loop: winloop may leave alone, and then sleep, what a receiving callback writes.
        asyncio.get_running_loop().call_soon(self.transport.write, ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer


class Paced(Idle):
    def buffer_updated(self, nbytes: int) -> None:
        global receives
        receives += 1


class Bulk(Idle):
    size = LARGE
    received = 0

    def buffer_updated(self, nbytes: int) -> None:
        self.received += nbytes
        if self.received >= ROUND:
            self.received -= ROUND
            self.answer()


class Frames(Idle):
    """Has each part of each frame received where it belongs."""

    size = LARGEST_FRAME

    def __init__(self) -> None:
        super().__init__()
        self.wanted = LENGTH
        self.filled = 0
        self.in_body = False

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer[self.filled : self.wanted]

    def buffer_updated(self, nbytes: int) -> None:
        self.filled += nbytes
        if self.filled < self.wanted:
            return
        self.filled = 0
        if self.in_body:
            self.in_body, self.wanted = False, LENGTH
        elif size := int.from_bytes(self.buffer[:LENGTH], "big"):
            self.in_body, self.wanted = True, size
        else:
            self.answer()


class Echo(Idle):
    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self.buffer[:nbytes]))


WORKS: dict[str, type[Idle]] = {
    "paced": Paced,
    "bulk": Bulk,
    "chunks": Bulk,
    "frames": Frames,
    "echo": Echo,
    "idle": Idle,
}


async def perform(task: Task) -> None:
    global receives
    receives = 0
    loop = asyncio.get_running_loop()
    protocols = [
        (await loop.create_connection(WORKS[task.work], HOST, task.port))[1]
        for _ in range(task.connections)
    ]
    for protocol in protocols:
        task.prepare(protocol.transport.get_extra_info("socket"))
    for protocol in protocols:
        await protocol.closed
    say("receives", receives)


async def main() -> None:
    for task in tasks():
        await perform(task)


if __name__ == "__main__":
    loops.run(sys.argv[1], main())
