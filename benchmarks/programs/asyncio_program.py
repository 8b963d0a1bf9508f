"""asyncio, on its own loop (on Windows the proactor) or on winloop's: ``asyncio_program.py LOOP``.

Messages and echoes are received by a ``Protocol``, floods and frames by a ``BufferedProtocol``,
whose callbacks say where to receive into, datagrams by a ``DatagramProtocol``.  Each is the fastest
way on one of the two loops, and within a few per cent of the fastest on the other.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from typing import Any, Final

from benchmarks import programs
from benchmarks.programs import ANSWER, HOST, LARGE, LENGTH, ROUND, Task


class Connection(asyncio.BaseProtocol):
    transport: Any

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

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
        # Not in the callback: winloop may sleep before it sends what a receiving callback writes.
        asyncio.get_running_loop().call_soon(self.transport.write, ANSWER)


class Frames(Flood):
    """Has each part of each frame received where it belongs."""

    size = programs.LARGEST_FRAME
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


class Datagrams(Connection, asyncio.DatagramProtocol):
    def __init__(self, work: str) -> None:
        super().__init__()
        self.action = programs.action_of(work)

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        try:
            if answer := self.action(data):
                self.transport.sendto(answer, address)
        except programs.Ended:
            self.transport.close()


WORKS: Final[dict[str, type[Any]]] = {
    **dict.fromkeys(("paced", "idle"), Discard),
    **dict.fromkeys(("bulk", "chunks", "dry"), Flood),
    "echo": Echo,
    "frames": Frames,
}


async def streams(loop: asyncio.AbstractEventLoop, task: Task) -> None:
    work = WORKS[task.work]
    connections: list[Connection] = [
        (await loop.create_connection(work, HOST, task.port))[1] for _ in range(task.connections)
    ]
    for connection in connections:
        task.prepare(connection.transport.get_extra_info("socket"))
    for connection in connections:
        await connection.closed


async def datagrams(loop: asyncio.AbstractEventLoop, task: Task) -> None:
    transport, receiver = await loop.create_datagram_endpoint(
        lambda: Datagrams(task.work), (HOST, 0), family=socket.AF_INET
    )
    task.prepare(transport.get_extra_info("socket"))
    transport.sendto(b"!", (HOST, task.port))
    await receiver.closed


async def main() -> None:
    loop = asyncio.get_running_loop()
    for task in programs.tasks():
        await (datagrams if task.work.startswith("datagrams") else streams)(loop, task)


if __name__ == "__main__":
    loops: Any = importlib.import_module(sys.argv[1])
    loop = loops.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
