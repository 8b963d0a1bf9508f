"""Trio as it is or with this package: ``trio_program.py trio|trio_wsarecv HOW``.

HOW is "streams", "sockets" for a stream's socket and ``recv_into``, or a function for datagrams.
``wait_overlapped`` is the least that a receive on Trio's completion port can be: without errors,
closing, a cancellation that comes too late, or a second receiver.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio
import trio.testing

from benchmarks import programs
from benchmarks.programs import ANSWER, LENGTH, MESSAGE, PIECE, ROOM, ROUND, Action

Receive = Callable[[Any], Awaitable[None]]


async def discard(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


async def flood(stream: trio.SocketStream, size: int | None = None, answered: int = ROUND) -> None:
    """Receive, and answer each so many bytes; hold the last chunk while the next receive waits."""
    received = 0
    while data := await stream.receive_some(size):
        received += len(data)
        if received >= answered:
            received -= answered
            await stream.send_all(ANSWER)


async def drop(stream: trio.SocketStream) -> None:
    """Receive a burst, and drop each chunk before the next receive."""
    received = 0
    while size := len(await stream.receive_some()):
        received += size
        if received == programs.BURST:
            await stream.send_all(ANSWER)


async def flood_into(stream: Any, receive_into: Callable[[bytearray], Awaitable[int]]) -> None:
    buffer, received = bytearray(programs.LARGE), 0
    while size := await receive_into(buffer):
        received += size
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def frames(stream: Any, receive: Callable[[int], Awaitable[Any]]) -> None:
    """Receive frames, each after its length, by a function that receives exactly so many bytes."""
    with suppress(EOFError):
        while True:
            size = int.from_bytes(await receive(LENGTH), "big")
            if size:
                await receive(size)
            else:
                await stream.send_all(ANSWER)


async def collect(stream: trio.SocketStream, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


async def fill(sock: trio.socket.SocketType, buffer: memoryview, size: int) -> memoryview:
    filled = 0
    while filled < size:
        received = await sock.recv_into(buffer[filled:size])
        if not received:
            raise EOFError
        filled += received
    return buffer[:size]


async def fill_exactly(stream: Any, buffer: memoryview, size: int) -> memoryview:
    await stream.receive_exactly_into(part := buffer[:size])
    return part


async def echo(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some(MESSAGE):
        await stream.send_all(data)


WORKS: Final[dict[str, Receive]] = {
    "paced": discard,
    "idle": discard,
    "bulk": partial(flood, size=programs.LARGE),
    "chunks": flood,
    "dry": partial(flood, size=PIECE),
    "frames": lambda stream: frames(stream, partial(collect, stream)),
    "echo": echo,
    "burst-default": partial(flood, answered=programs.BURST),
    "burst-64k": partial(flood, size=PIECE, answered=programs.BURST),
    "burst-drop": drop,
}
FRAME: Final = memoryview(bytearray(programs.LARGEST_FRAME))
SOCKETS: Final[dict[str, Receive]] = {
    "bulk": lambda stream: flood_into(stream, stream.socket.recv_into),
    "frames": lambda stream: frames(stream, partial(fill, stream.socket, FRAME)),
}
OURS: Final[dict[str, Receive]] = {
    "bulk": lambda stream: flood_into(stream, stream.receive_into),
    "frames": lambda stream: frames(stream, partial(fill_exactly, stream, FRAME)),
}


async def cancel(streams: list[trio.SocketStream]) -> None:
    while sys.stdin.readline().strip() == "again":
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(stream.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            begin = time.perf_counter()
            nursery.cancel_scope.cancel()
        programs.say("seconds", time.perf_counter() - begin)


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
        for data, address in await sock.recvfrom_many(programs.DATAGRAMS, ROOM):
            if answer := action(data):
                await sock.sendto(answer, address)


async def sendto_many(sock: Any, action: Action) -> None:
    while True:
        batch = await sock.recvfrom_many(programs.DATAGRAMS, ROOM)
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


CALLS: Final[dict[str, Callable[[Any, Action], Awaitable[None]]]] = {
    call.__name__: call
    for call in (recvfrom, recvfrom_into, recvfrom_many, sendto_many, recvmsg, wait_overlapped)
}


async def receive(streams: list[trio.SocketStream], work: Receive) -> None:
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(work, stream)


async def main() -> None:
    package, how = sys.argv[1:]
    works = WORKS | SOCKETS if how == "sockets" else WORKS
    connect: Any = trio.open_tcp_stream
    if package == "trio_wsarecv":
        import trio_wsarecv

        trio_wsarecv.install()
        connect, works = trio_wsarecv.open_tcp_stream, WORKS | OURS
    for task in programs.tasks():
        if how in CALLS:
            with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock, suppress(programs.Ended):
                task.prepare(sock)
                await sock.bind((programs.HOST, 0))
                await sock.sendto(b"!", (programs.HOST, task.port))
                await CALLS[how](sock, programs.action_of(task.work))
            continue
        streams = [await connect(programs.HOST, task.port) for _ in range(task.connections)]
        for stream in streams:
            task.prepare(stream.socket)
        if task.work == "cancel":
            await cancel(streams)
        else:
            await receive(streams, works[task.work])
        for stream in streams:
            await stream.aclose()


if __name__ == "__main__":
    trio.run(main)
