"""Datagrams in asyncio: a DatagramProtocol, on asyncio's own loop or on winloop's."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any, cast

from tests.bench.programs import HOST, Task, tasks
from tests.bench.programs.asyncio_program import run
from tests.bench.programs.ledger import KERNEL_ROOM, Ended, action_of


class Receiver(asyncio.DatagramProtocol):
    def __init__(self, work: str) -> None:
        self.action = action_of(work)
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        try:
            if answer := self.action(data):
                self.transport.sendto(answer, address)
        except Ended:
            self.ended.set_result(None)


async def perform(task: Task) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_ROOM)
    sock.setblocking(False)
    sock.bind((HOST, 0))
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(
        lambda: Receiver(task.work), sock=sock
    )
    sock.sendto(b"!", (HOST, task.port))
    await receiver.ended
    transport.close()


async def main() -> None:
    for task in tasks():
        await perform(task)


if __name__ == "__main__":
    run(sys.argv[1], main())
