"""Datagrams in Trio: by ``recvfrom`` as it is, or by each call of this package.

usage: datagrams.py trio|trio_wsarecv CALL
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import trio

from tests.bench.programs import HOST, Task, say, tasks
from tests.bench.programs.ledger import KERNEL_ROOM, MANY, ROOM, Ended, Ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.programs.ledger import Action


async def recvfrom(sock: Any, ledger: Ledger, action: Action) -> None:
    while True:
        data, address = await sock.recvfrom(ROOM)
        ledger.receives += 1
        if answer := action(data):
            await sock.sendto(answer, address)


async def recvfrom_into(sock: Any, ledger: Ledger, action: Action) -> None:
    buffer = memoryview(bytearray(ROOM))
    while True:
        size, address = await sock.recvfrom_into(buffer)
        ledger.receives += 1
        if answer := action(buffer[:size]):
            await sock.sendto(answer, address)


async def recvfrom_many(sock: Any, ledger: Ledger, action: Action) -> None:
    while True:
        datagrams = await sock.recvfrom_many(MANY, ROOM)
        ledger.receives += 1
        for data, address in datagrams:
            if answer := action(data):
                await sock.sendto(answer, address)


async def recvmsg(sock: Any, ledger: Ledger, action: Action) -> None:
    while True:
        data, _, _, address = await sock.recvmsg(ROOM)
        ledger.receives += 1
        if answer := action(data):
            await sock.sendto(answer, address)


CALLS: dict[str, Callable[[Any, Ledger, Action], Awaitable[None]]] = {
    "recvfrom": recvfrom,
    "recvfrom_into": recvfrom_into,
    "recvfrom_many": recvfrom_many,
    "recvmsg": recvmsg,
}


async def perform(kind: str, call: str, task: Task) -> None:
    stdlib = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if kind == "trio":
        sock: Any = trio.socket.from_stdlib_socket(stdlib)
    else:
        import trio_wsarecv

        sock = trio_wsarecv.from_stdlib_socket(stdlib)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_ROOM)
        await sock.bind((HOST, 0))
        await sock.sendto(b"!", (HOST, task.port))
        ledger = Ledger()
        try:
            await CALLS[call](sock, ledger, ledger.action(task.work))
        except Ended:
            say("receives", ledger.receives)


async def main() -> None:
    kind, call = sys.argv[1:]
    for task in tasks():
        await perform(kind, call, task)


if __name__ == "__main__":
    trio.run(main)
