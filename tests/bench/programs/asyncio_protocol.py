"""asyncio's Protocol: callbacks that get bytes."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from tests.bench.programs import ANSWER, HOST, LENGTH, ROUND, Task, loops, say, tasks

receives = 0


class Idle(asyncio.Protocol):
    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def answer(self) -> None:
        # From the loop: winloop may leave alone, and then sleep, what a receiving callback writes.
        asyncio.get_running_loop().call_soon(self.transport.write, ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


class Paced(Idle):
    def data_received(self, data: bytes) -> None:
        global receives
        receives += 1


class Bulk(Idle):
    received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= ROUND:
            self.received -= ROUND
            self.answer()


class Frames(Idle):
    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray()
        self.wanted = LENGTH
        self.in_body = False

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer
        buffer += data
        while len(buffer) >= self.wanted:
            frame = bytes(buffer[: self.wanted])
            del buffer[: self.wanted]
            if self.in_body:
                self.in_body, self.wanted = False, LENGTH
            elif size := int.from_bytes(frame, "big"):
                self.in_body, self.wanted = True, size
            else:
                self.answer()


class Echo(Idle):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


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
