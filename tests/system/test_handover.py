"""Sockets that are duplicated, detached, wrapped again, or used in several runs or libraries.

On Windows a receive that succeeds inline on a connection made by the package has no packet.  This
cannot be undone, and holds for every duplicate of the handle.  Still, no receive may hang, and no
byte may be lost.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import LOOPBACK, families
from tests.peers import Counted, pattern, push_back, receive_when, socket_pair, stdlib_pair
from tests.receiving import on_windows
from tests.simulation import Call
from trio_wsarecv import from_stdlib_socket


@asynccontextmanager
async def made(
    how: str = "accept", family: socket.AddressFamily = socket.AF_INET
) -> AsyncIterator[tuple[trio_wsarecv.SocketStream, socket.socket]]:
    """Make a connection by a function of the package; give the stream and the peer's socket."""
    host = LOOPBACK[family]
    if how == "accept":
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host=host)
        async with listener:
            other = socket.create_connection(listener.socket.getsockname()[:2])
            stream = await listener.accept()
    else:
        with socket.create_server((host, 0), family=family) as listening:
            address = listening.getsockname()[:2]
            if how == "SocketFactory":
                sock = trio_wsarecv.SocketFactory().socket(family)
                await sock.connect(address)
                stream = trio_wsarecv.SocketStream(sock)
            else:
                stream = await trio_wsarecv.open_tcp_stream(*address)
            other, _ = listening.accept()
    async with stream:
        with other:
            yield stream, other


async def check_receives(sock: trio_wsarecv.Socket, other: socket.socket) -> None:
    """Receive what waits and what comes later, be busy, cancel, and receive a flow."""
    for _ in range(2):
        other.sendall(b"waiting")
        await trio.lowlevel.wait_readable(sock)
        assert await sock.recv(100) == b"waiting"
    async with trio.open_nursery() as nursery:
        buffer = bytearray(100)
        receiver = Call(nursery, sock.recv_into, buffer)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await sock.recv(1)
        other.sendall(b"later")
    assert bytes(buffer[: receiver.value]) == b"later"
    await push_back(sock, other, b"half")
    other.sendall(pattern(20_000))
    received = b""
    while len(received) < 20_004:
        received += await sock.recv(4000)
    assert received == b"half" + pattern(20_000)


async def check_engine(
    sock: trio_wsarecv.Socket, other: socket.socket, *, overlapped: bool
) -> None:
    """Check receives, and which engine this socket gets."""
    await check_receives(sock, other)
    assert sock.engine.startswith("overlapped" if overlapped and on_windows else "readiness")


async def check_close(sock: trio_wsarecv.Socket, other: socket.socket) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await receive_when(True, lambda: sock.recv(100), sock.close)
    other.settimeout(10)
    assert other.recv(10) == b""


@families
@pytest.mark.parametrize("how", ["open_tcp_stream", "SocketFactory", "accept"])
async def test_a_connection_made_here_is_received_on_overlapped(
    how: str, family: socket.AddressFamily
) -> None:
    async with made(how, family) as (stream, other):
        await check_engine(stream.socket, other, overlapped=True)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "received on"])
async def test_a_duplicate_is_overlapped_if_it_receives_first(used: bool) -> None:
    async with made() as (stream, other):
        if used:
            await check_receives(stream.socket, other)
        with stream.socket.dup() as duplicate:
            assert type(duplicate) is trio_wsarecv.Socket
            assert duplicate.fileno() != stream.socket.fileno()
            await check_engine(duplicate, other, overlapped=not used)
            await check_receives(stream.socket, other)
            await check_receives(duplicate, other)
        await check_receives(stream.socket, other)


def detached(sock: Any) -> socket.socket:
    return socket.socket(fileno=sock.detach())


def by_fromfd(sock: Any) -> socket.socket:
    return socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM)


def by_share(sock: Any) -> socket.socket:
    if sys.platform == "win32":
        return socket.fromshare(sock.share(os.getpid()))
    raise NotImplementedError


@pytest.mark.parametrize(
    "hand_on", [detached, by_fromfd, pytest.param(by_share, marks=pytest.mark.windows)]
)
async def test_a_handle_that_is_handed_on_is_received_on_by_readiness(
    hand_on: Callable[[Any], socket.socket],
) -> None:
    async with made() as (stream, other):
        await check_receives(stream.socket, other)
        with from_stdlib_socket(hand_on(stream.socket)) as adopted:
            await check_engine(adopted, other, overlapped=False)
            if hand_on is not detached:
                await check_receives(stream.socket, other)
            await stream.aclose()
            await check_receives(adopted, other)


async def test_a_detached_handle_can_be_a_blocking_socket() -> None:
    async with made() as (stream, other):
        other.sendall(b"data")
        assert await stream.receive_exactly(4) == b"data"
        with detached(stream.socket) as stdlib:
            assert stream.socket.fileno() == -1
            stdlib.setblocking(True)
            for _ in range(2):
                other.sendall(b"data")
                assert await trio.to_thread.run_sync(stdlib.recv, 100) == b"data"


async def test_wrappers_of_one_socket_share_its_engine_and_bytes() -> None:
    with stdlib_pair() as (one, other):
        first, second = from_stdlib_socket(one), from_stdlib_socket(one)
        counted = Counted()
        await check_receives(second, other)
        await check_receives(first, other)
        assert counted.overlapped_sockets == on_windows
        await push_back(first, other, b"half")
        assert await second.recv(10) == b"half"
        del first, second
        gc.collect()  # which leaves the socket as it is
        other.sendall(b"data")
        assert await from_stdlib_socket(one).recv(10) == b"data"


@pytest.mark.parametrize("made_here", [False, True])
def test_a_socket_in_several_runs(made_here: bool) -> None:
    new = trio_wsarecv.SocketFactory().socket()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trio.run(new.connect, listener.getsockname())
        other, _ = listener.accept()
    sock = new if made_here else from_stdlib_socket(detached(new))

    async def main() -> None:
        await check_engine(sock, other, overlapped=True)
        await trio.to_thread.run_sync(trio.run, later, sock)  # although this run goes on
        await check_receives(sock, other)
        await push_back(sock, other, b"pushed back")

    async def later(sock: trio_wsarecv.Socket) -> None:
        await check_engine(sock, other, overlapped=False)

    with other:
        with ThreadPoolExecutor() as thread:  # which has ended when the next run receives
            thread.submit(trio.run, main).result()
        assert trio.run(sock.recv, 100) == b"pushed back"
        trio.run(later, sock)
        trio.run(later, from_stdlib_socket(sock.stdlib))
        trio.run(check_close, sock, other)


async def test_a_socket_that_asyncio_has_used_is_received_on_by_readiness() -> None:
    with stdlib_pair() as (one, other):
        one.setblocking(False)
        other.sendall(b"for asyncio")

        async def receive_in_asyncio() -> bytes:
            return await asyncio.get_running_loop().sock_recv(one, 100)

        received = await trio.to_thread.run_sync(lambda: asyncio.run(receive_in_asyncio()))
        assert received == b"for asyncio"
        sock = from_stdlib_socket(one)
        await check_engine(sock, other, overlapped=False)
        await check_close(sock, other)


if sys.platform == "win32":
    import _overlapped  # type: ignore[import-not-found]

    WSA_IO_PENDING = 997

    async def test_a_socket_that_is_not_overlapped_is_received_on_by_readiness() -> None:
        make = ctypes.WinDLL("ws2_32").WSASocketW
        make.restype = ctypes.c_size_t
        handle = make(socket.AF_INET, socket.SOCK_STREAM, 0, None, 0, 0)
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, handle) as one,
        ):
            one.connect(listener.getsockname())
            other, _ = listener.accept()
            with other:
                sock = from_stdlib_socket(one)
                await check_engine(sock, other, overlapped=False)
                await check_close(sock, other)

    async def send(sock: trio.socket.SocketType, data: bytes, *, skips: bool = False) -> int:
        """Send by an overlapped ``WSASend`` of the program's own; wait if there is a packet."""
        operation = _overlapped.Overlapped(0)
        operation.WSASend(sock.fileno(), data, 0)
        if operation.error == WSA_IO_PENDING or not skips:
            await trio.lowlevel.wait_overlapped(sock.fileno(), operation.address)
        nbytes: int = operation.getresult()
        return nbytes

    async def test_a_socket_that_a_program_has_registered_is_received_on_by_readiness() -> None:
        with socket_pair() as (sock, other):
            trio.lowlevel.register_with_iocp(sock.fileno())
            await check_engine(sock, other, overlapped=False)
            assert sock.engine.startswith("readiness: associated")
            assert await send(sock, b"answer") == 6
            assert other.recv(100) == b"answer"

    @pytest.mark.parametrize("made_here", [False, True])
    async def test_after_a_receive_a_programs_own_operations_need_no_registration(
        made_here: bool,
    ) -> None:
        async with made() as (stream, other):
            sock = stream.socket if made_here else from_stdlib_socket(detached(stream.socket))
            with sock:
                other.sendall(b"question")
                assert await sock.recv(100) == b"question"
                assert sock.engine == "overlapped"
                with pytest.raises(OSError, match=r".") as refused:
                    trio.lowlevel.register_with_iocp(sock.fileno())
                assert refused.value.winerror == 87
                for _ in range(3):
                    # On a connection made here, what succeeds at once has no packet; one that
                    # nobody waits for would end the run.
                    assert await send(sock, b"answer", skips=made_here) == 6
                    assert other.recv(6) == b"answer"
