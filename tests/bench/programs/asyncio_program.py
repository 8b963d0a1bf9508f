"""asyncio, on its own loop (on Windows the proactor) or on winloop's: ``asyncio_program.py LOOP``.

Messages and echoes are received by a ``Protocol``, whose callbacks get bytes; floods and frames by
a ``BufferedProtocol``, whose callbacks say where to receive into.  Each is the fastest that there
is for its work on one of the two loops, and as good as on the other.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from tests.bench.programs import ANSWER, HOST, LARGE, LARGEST_FRAME, LENGTH, ROUND, tasks

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(name: str, main: Coroutine[Any, Any, None]) -> None:
    if name == "asyncio":
        asyncio.run(main)
        return
    loop = cast("Any", importlib.import_module("winloop")).new_event_loop()
    try:
        loop.run_until_complete(main)
    finally:
        loop.close()


class Connection(asyncio.BaseProtocol):
    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


class Discard(Connection, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        pass


class Echo(Connection, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Flood(Connection, asyncio.BufferedProtocol):
    size = LARGE
    received = 0

    def __init__(self) -> None:
        super().__init__()
        self.buffer = memoryview(bytearray(self.size))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += nbytes
        if self.received >= ROUND:
            self.received -= ROUND
            self.answer()

    def answer(self) -> None:
        # From the loop: winloop may leave alone, and then sleep, what a receiving callback writes.
        asyncio.get_running_loop().call_soon(self.transport.write, ANSWER)


class Frames(Flood):
    """Has each part of each frame received where it belongs."""

    size = LARGEST_FRAME
    wanted = LENGTH
    filled = 0
    in_body = False

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


WORKS: Final[dict[str, type[Any]]] = {
    "paced": Discard,
    "idle": Discard,
    "echo": Echo,
    "bulk": Flood,
    "chunks": Flood,
    "dry": Flood,
    "frames": Frames,
}


async def main() -> None:
    loop = asyncio.get_running_loop()
    for task in tasks():
        work = WORKS[task.work]
        connections: list[Connection] = [
            (await loop.create_connection(work, HOST, task.port))[1]
            for _ in range(task.connections)
        ]
        for connection in connections:
            task.prepare(connection.transport.get_extra_info("socket"))
        for connection in connections:
            await connection.closed


if __name__ == "__main__":
    run(sys.argv[1], main())
