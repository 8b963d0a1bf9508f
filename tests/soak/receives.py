"""The ways to receive, each as one that gives bytes and watches the buffers that it uses."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, wsarecv

Receive = Callable[[SocketStream, random.Random], Awaitable[bytes]]

SIZES = (1, 2, 100, 1500, 10_000, 65_536)
CANARY = b"\xa5"


class BufferFault(Exception):
    """A buffer was written to where it must not be, or kept longer than it may be."""


@contextmanager
def watched(size: int) -> Iterator[bytearray]:
    """Give a buffer with some room behind it that nobody may touch, and that is free afterwards."""
    buffer = bytearray(size) + CANARY * 64
    try:
        yield buffer
    finally:
        if buffer[size:] != CANARY * 64:
            raise BufferFault("something wrote behind the bytes asked for")
        try:
            buffer.append(0)
        except BufferError:
            raise BufferFault("a buffer is still exported") from None


async def receive_some(stream: SocketStream, rng: random.Random) -> bytes:
    return await stream.receive_some()


async def receive_a_few(stream: SocketStream, rng: random.Random) -> bytes:
    return await stream.receive_some(rng.choice(SIZES))


async def recv(stream: SocketStream, rng: random.Random) -> bytes:
    return await stream.socket.recv(rng.choice(SIZES))


async def receive_into(stream: SocketStream, rng: random.Random) -> bytes:
    size = rng.choice(SIZES)
    with watched(size) as buffer:
        received = await stream.receive_into(buffer, size)
        return bytes(buffer[:received])


async def receive_exactly(stream: SocketStream, rng: random.Random) -> bytes:
    try:
        return await stream.receive_exactly(rng.choice(SIZES))
    except IncompleteReceiveError as exc:
        return exc.partial


async def receive_exactly_into(stream: SocketStream, rng: random.Random) -> bytes:
    size = rng.choice(SIZES)
    with watched(size) as buffer:
        try:
            with memoryview(buffer)[:size] as view:
                await stream.receive_exactly_into(view)
        except IncompleteReceiveError as exc:
            return exc.partial
        return bytes(buffer[:size])


async def scattered(stream: SocketStream, rng: random.Random) -> bytes:
    flags = rng.choice((MsgFlag(0), MsgFlag.MSG_WAITALL))
    buffers = [bytearray(rng.choice((0, 1, 3, 1000))) for _ in range(rng.randrange(1, 5))]
    buffers.append(bytearray(rng.choice(SIZES)))
    try:
        received, _ = await wsarecv(stream.socket, buffers, flags)
        return b"".join(buffers)[:received]
    finally:
        for buffer in buffers:
            buffer.clear()


WAYS: list[Receive] = [
    receive_some,
    receive_a_few,
    recv,
    receive_into,
    receive_exactly,
    receive_exactly_into,
    scattered,
]
