"""Datagrams in Trio: by ``recvfrom`` as it is, or by each call of this package.

usage: datagrams.py trio|trio_wsarecv CALL

``wait_overlapped`` is not a call of this package but the least that a receive on Trio's completion
port can be: without errors, closing, a cancellation that comes too late, or a second receiver.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio

from benchmarks.programs import DATAGRAMS, HOST, ROOM, Action, Ended, action_of, tasks


async def recvfrom(sock: Any, action: Action) -> None:
    while True:
        data, address = await sock.recvfrom(ROOM)
        if answer := action(data):
            await sock.sendto(answer, address)


async def recvfrom_into(sock: Any, action: Action) -> None:
    buffer = memoryview(bytearray(ROOM))
    while True:
        size, address = await sock.recvfrom_into(buffer)
        if answer := action(buffer[:size]):
            await sock.sendto(answer, address)


async def recvfrom_many(sock: Any, action: Action) -> None:
    while True:
        for data, address in await sock.recvfrom_many(DATAGRAMS, ROOM):
            if answer := action(data):
                await sock.sendto(answer, address)


async def sendto_many(sock: Any, action: Action) -> None:
    while True:
        batch = await sock.recvfrom_many(DATAGRAMS, ROOM)
        await sock.sendto_many(
            [(answer, address) for data, address in batch if (answer := action(data))]
        )


async def recvmsg(sock: Any, action: Action) -> None:
    while True:
        data, _, _, address = await sock.recvmsg(ROOM)
        if answer := action(data):
            await sock.sendto(answer, address)


async def wait_overlapped(sock: Any, action: Action) -> None:
    from trio_wsarecv._winsock.calls import NULL, address_of, ffi, ws2_32
    from trio_wsarecv._winsock.parse import STORAGE_SIZE, parse_address

    lowlevel: Any = trio.lowlevel
    handle = sock.fileno()
    lowlevel.register_with_iocp(handle)
    target, name = ffi.new("char[]", ROOM), ffi.new("char[]", STORAGE_SIZE)
    buffers = ffi.new("WSABUF *", {"len": ROOM, "buf": target})
    flags, length, overlapped = map(ffi.new, ("DWORD *", "int32_t *", "OVERLAPPED *"))
    arguments = (handle, buffers, 1, NULL, flags, name, length, overlapped, NULL)
    address = address_of(overlapped)
    while True:
        await trio.lowlevel.checkpoint_if_cancelled()
        flags[0], length[0] = 0, STORAGE_SIZE
        ws2_32.WSARecvFrom(*arguments)
        await lowlevel.wait_overlapped(handle, address)
        data = ffi.unpack(target, overlapped.InternalHigh)
        if answer := action(data):
            await sock.sendto(answer, parse_address(ffi.unpack(name, length[0])))


CALLS: dict[str, Callable[[Any, Action], Awaitable[None]]] = {
    call.__name__: call
    for call in (recvfrom, recvfrom_into, recvfrom_many, sendto_many, recvmsg, wait_overlapped)
}


async def main() -> None:
    kind, call = sys.argv[1:]
    if kind != "trio":
        import trio_wsarecv

        trio_wsarecv.install()
    for task in tasks():
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock, suppress(Ended):
            task.prepare(sock)
            await sock.bind((HOST, 0))
            await sock.sendto(b"!", (HOST, task.port))
            await CALLS[call](sock, action_of(task.work))


if __name__ == "__main__":
    trio.run(main)
