"""Datagrams by Trio's completion port with as little as possible around it.

usage: datagrams_bare.py RECEIVES

It keeps so many ``WSARecvFrom`` in the kernel.  Of several, each has a task that waits for its
packet, and their datagrams are put in order again.  There is nothing here for errors, closing, a
cancellation that comes too late, or a second task that receives.
"""

from __future__ import annotations

import itertools
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from tests.bench.programs import HOST, Task, say, tasks
from tests.bench.programs.ledger import KERNEL_ROOM, ROOM, Ended, Ledger
from trio_wsarecv._engine.port import associate, completion_port
from trio_wsarecv._winsock.calls import ffi
from trio_wsarecv._winsock.datagram import DatagramOperation
from trio_wsarecv._winsock.status import Mode

if TYPE_CHECKING:
    from tests.bench.programs.ledger import Action


def new_operation(handle: int) -> DatagramOperation:
    operation = DatagramOperation(handle, Mode.DEFAULT)
    operation.set_memory(ROOM, 0)
    return operation


async def receive(operation: DatagramOperation) -> tuple[bytes, Any]:
    # A packet follows, whether there is a datagram already or not.
    operation.memory.flags = 0
    operation.submit()
    await completion_port.wait_overlapped(operation.handle, operation.address)
    return ffi.unpack(operation.target, operation.overlapped.InternalHigh), operation.sender()


async def one(sock: Any, ledger: Ledger, action: Action) -> None:
    operation = new_operation(sock.fileno())
    with suppress(Ended):
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()
            data, address = await receive(operation)
            ledger.receives += 1
            if answer := action(data):
                await sock.sendto(answer, address)


async def several(receives: int, sock: Any, ledger: Ledger, action: Action) -> None:
    numbers = itertools.count()  # of the receives, in the order in which they are submitted
    arrived: dict[int, tuple[bytes, Any]] = {}
    something = trio.lowlevel.ParkingLot()

    async def keep_receiving() -> None:
        operation = new_operation(sock.fileno())
        while True:
            number = next(numbers)
            arrived[number] = await receive(operation)
            something.unpark()

    async with trio.open_nursery() as nursery:
        for _ in range(receives):
            nursery.start_soon(keep_receiving)
        with suppress(Ended):
            for number in itertools.count():
                while number not in arrived:
                    await something.park()
                data, address = arrived.pop(number)
                ledger.receives += 1
                if answer := action(data):
                    await sock.sendto(answer, address)
        nursery.cancel_scope.cancel()


async def perform(receives: int, task: Task) -> None:
    with trio.socket.from_stdlib_socket(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_ROOM)
        await sock.bind((HOST, 0))
        associate(sock.fileno())
        await sock.sendto(b"!", (HOST, task.port))
        ledger = Ledger()
        action = ledger.action(task.work)
        if receives == 1:
            await one(sock, ledger, action)
        else:
            await several(receives, sock, ledger, action)
        say("receives", ledger.receives)


async def main() -> None:
    for task in tasks():
        await perform(int(sys.argv[1]), task)


if __name__ == "__main__":
    trio.run(main)
