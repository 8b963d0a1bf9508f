"""Connections that were made here and are handed around: nobody hangs, and nothing is lost.

On Windows a receive on them that succeeds inline has no packet.  That cannot be taken back, and
holds for every duplicate of the handle.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, pattern
from tests.receiving import on_windows
from tests.simulation import Call
from trio_wsarecv._engine import port

Made = tuple[trio_wsarecv.SocketStream, socket.socket]


async def connect(address: Any) -> trio_wsarecv.SocketStream:
    return await trio_wsarecv.open_tcp_stream(*address)


async def connect_by_factory(address: Any) -> trio_wsarecv.SocketStream:
    sock = trio_wsarecv.SocketFactory().socket()
    await sock.connect(address)
    return trio_wsarecv.SocketStream(sock)


@asynccontextmanager
async def made_by(make: Any) -> AsyncIterator[Made]:
    """Give a stream that was made here, and its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await make(listener.getsockname())
        other, _ = listener.accept()
    with other:
        yield stream, other
        await stream.aclose()


@asynccontextmanager
async def made_by_accepting() -> AsyncIterator[Made]:
    (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        with socket.create_connection(listener.socket.getsockname()) as other:
            stream = await listener.accept()
            yield stream, other
            await stream.aclose()


MADE: dict[str, Any] = {
    "open_tcp_stream": lambda: made_by(connect),
    "SocketFactory": lambda: made_by(connect_by_factory),
    "accept": made_by_accepting,
}
every_origin = pytest.mark.parametrize("made", MADE.values(), ids=MADE)


async def check_receives(sock: trio_wsarecv.Socket, other: socket.socket) -> None:
    """Receive what waits and what comes later, cancel, and receive a flow."""
    for _ in range(2):
        other.sendall(b"waiting")
        await trio.lowlevel.wait_readable(sock)
        assert await sock.recv(100) == b"waiting"
    async with trio.open_nursery() as nursery:
        later = Call(nursery, sock.recv, 100)
        await wait_all_tasks_blocked()
        other.sendall(b"later")
    assert later.value == b"later"
    async with trio.open_nursery() as nursery:
        cancelled = Call(nursery, trio_wsarecv.SocketStream(sock).receive_exactly, 100)
        await wait_all_tasks_blocked()
        other.sendall(b"half")
        await wait_all_tasks_blocked()
        cancelled.scope.cancel()
    assert cancelled.cancelled
    other.sendall(pattern(20_000))
    received = b""
    while len(received) < 20_004:
        received += await sock.recv(4000)
    assert received == b"half" + pattern(20_000)


@every_origin
async def test_a_connection_that_was_made_here(made: Any) -> None:
    counted = Counted()
    async with made() as (stream, other):
        await check_receives(stream.socket, other)
    assert counted.overlapped_sockets == on_windows


class CountingPort:
    """Trio's completion port, with a count of the waits for a packet."""

    def __init__(self) -> None:
        self.waits = 0

    def register_with_iocp(self, handle: int, /) -> None:
        if sys.platform == "win32":
            trio.lowlevel.register_with_iocp(handle)

    async def wait_overlapped(self, handle: int, lpOverlapped: int, /) -> object:
        self.waits += 1
        if sys.platform == "win32":
            return await trio.lowlevel.wait_overlapped(handle, lpOverlapped)
        raise NotImplementedError


@contextmanager
def counting_waits() -> Iterator[CountingPort]:
    with pytest.MonkeyPatch.context() as patch:
        counting = CountingPort()
        patch.setattr(port, "completion_port", counting)
        yield counting


@pytest.mark.windows
@every_origin
async def test_what_waits_is_received_without_a_packet(made: Any) -> None:
    async with made() as (stream, other):
        sock = stream.socket
        with counting_waits() as counting:
            for _ in range(3):
                other.sendall(b"data")
                await trio.lowlevel.wait_readable(sock)
                assert await sock.recv(100) == b"data"
                assert counting.waits == 0
            async with trio.open_nursery() as nursery:
                call = Call(nursery, sock.recv, 100)
                await wait_all_tasks_blocked()
                assert counting.waits == 1
                other.sendall(b"data")
            assert call.value == b"data"


@pytest.mark.windows
async def test_on_an_adopted_socket_the_packet_of_what_waits_is_awaited() -> None:
    async with made_by(connect) as (stream, other):
        adopted = trio_wsarecv.from_stdlib_socket(stream.socket.stdlib.dup())
        with adopted, counting_waits() as counting:
            for count in range(1, 4):
                other.sendall(b"data")
                await trio.lowlevel.wait_readable(adopted)
                assert await adopted.recv(100) == b"data"
                assert counting.waits == count


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "received on"])
@every_origin
async def test_a_duplicate(made: Any, used: bool) -> None:
    async with made() as (stream, other):
        if used:
            await check_receives(stream.socket, other)
        counted = Counted()
        with stream.socket.dup() as duplicate:
            await check_receives(duplicate, other)
            await check_receives(stream.socket, other)
            await check_receives(duplicate, other)
        await check_receives(stream.socket, other)
        # The first of the two that is received on has the port.
        assert counted.overlapped_sockets == (on_windows and not used)


@every_origin
async def test_a_handle_that_was_detached_and_adopted(made: Any) -> None:
    async with made() as (stream, other):
        await check_receives(stream.socket, other)
        counted = Counted()
        stdlib = socket.socket(fileno=stream.socket.detach())
        with trio_wsarecv.from_stdlib_socket(stdlib) as adopted:
            await check_receives(adopted, other)
        assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)


@every_origin
async def test_a_copy_by_fromfd(made: Any) -> None:
    async with made() as (stream, other):
        await check_receives(stream.socket, other)
        copy = socket.fromfd(stream.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        with trio_wsarecv.from_stdlib_socket(copy) as adopted:
            await check_receives(adopted, other)
            await stream.aclose()
            await check_receives(adopted, other)


if sys.platform == "win32":

    @every_origin
    async def test_a_copy_by_share(made: Any) -> None:
        async with made() as (stream, other):
            await check_receives(stream.socket, other)
            copy = socket.fromshare(stream.socket.share(os.getpid()))
            with trio_wsarecv.from_stdlib_socket(copy) as adopted:
                await check_receives(adopted, other)
                await stream.aclose()
                await check_receives(adopted, other)


@every_origin
async def test_a_blocking_socket_of_the_standard_library_afterwards(made: Any) -> None:
    async with made() as (stream, other):
        await check_receives(stream.socket, other)
        with socket.socket(fileno=stream.socket.detach()) as stdlib:
            stdlib.setblocking(True)
            for _ in range(2):
                other.sendall(b"data")
                assert await trio.to_thread.run_sync(stdlib.recv, 100) == b"data"


def test_a_second_run() -> None:
    ends: list[tuple[trio_wsarecv.Socket, socket.socket]] = []

    async def first() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = await connect(listener.getsockname())
            other, _ = listener.accept()
        ends.append((stream.socket, other))
        await check_receives(*ends[0])

    async def second() -> None:
        counted = Counted()
        await check_receives(*ends[0])
        assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)

    trio.run(first)
    trio.run(second)
    trio.run(second)
    for each in ends[0]:
        each.close()


@pytest.mark.parametrize("wrapped_first", [False, True])
async def test_two_wrappers_of_one_socket(wrapped_first: bool) -> None:
    async with made_by(connect) as (stream, other):
        sock = stream.socket
        if not wrapped_first:
            await check_receives(sock, other)
        second = trio_wsarecv.from_stdlib_socket(sock.stdlib)
        counted = Counted()
        await check_receives(second, other)
        await check_receives(sock, other)
        assert counted.overlapped_sockets == (on_windows and wrapped_first)
