"""`Socket`: Trio's socket in everything but how it receives, and who may."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, HostilePeer, pattern, socket_pair, stdlib_pair
from tests.receiving import leave_to_the_next

on_windows = sys.platform == "win32"


async def test_is_a_trio_socket_in_every_respect() -> None:
    with stdlib_pair() as (one, other):
        ours, stock = trio_wsarecv.from_stdlib_socket(one), trio.socket.from_stdlib_socket(other)
        assert isinstance(ours, trio.socket.SocketType)
        assert isinstance(ours, type(stock))
        assert isinstance(ours, trio_wsarecv.Socket)
        public = {name for name in dir(stock) if not name.startswith("_")}
        assert public <= set(dir(ours))
        assert ours.fileno() == one.fileno()
        assert (ours.family, ours.type, ours.proto) == (one.family, one.type, one.proto)
        assert ours.getsockname() == one.getsockname()
        assert ours.getpeername() == one.getpeername() == other.getsockname()
        assert repr(ours) == repr(one).replace("socket.socket", "trio.socket.socket")
        assert not ours.get_inheritable()
        assert one.gettimeout() == 0
        assert ours.did_shutdown_SHUT_WR is False
        ours.shutdown(socket.SHUT_WR)
        assert ours.did_shutdown_SHUT_WR is True
        for sock in (ours, stock):
            for name in ("sendall", "makefile", "settimeout", "nonsense"):
                with pytest.raises(AttributeError):
                    getattr(sock, name)


async def test_wraps_nothing_but_a_plain_socket() -> None:
    with stdlib_pair() as (one, _):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with context.wrap_socket(
            socket.socket(), server_hostname="x", do_handshake_on_connect=False
        ) as wrapped:
            for bad in (wrapped, trio.socket.from_stdlib_socket(one), one.fileno(), None):
                with pytest.raises(TypeError, match=r"expected object of type 'socket\.socket'"):
                    trio_wsarecv.from_stdlib_socket(bad)  # type: ignore[arg-type]
                with pytest.raises(TypeError, match=r"expected object of type 'socket\.socket'"):
                    trio.socket.from_stdlib_socket(bad)  # type: ignore[arg-type]


async def test_the_sender_of_the_bytes_of_a_stream_is_what_the_standard_library_gives() -> None:
    with stdlib_pair() as (one, other):
        other.sendall(b"data")
        _, sender = one.recvfrom(4)
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        assert await sock.recvfrom(2) == (b"da", sender)
        assert await sock.recvfrom_into(bytearray(2)) == (2, sender)
        # Bytes that were pushed back have the same.
        await leave_to_the_next(sock, other, b"data")
        assert await sock.recvfrom(2) == (b"da", sender)
        assert await sock.recvfrom_into(bytearray(2)) == (2, sender)


async def test_a_receive_on_a_closed_socket_fails_as_in_the_standard_library() -> None:
    with stdlib_pair() as (one, other):
        sock = trio_wsarecv.from_stdlib_socket(other)
        for each in (one, sock):
            each.close()
        with pytest.raises(OSError, match=r".") as expected:
            one.recv(1)
        with pytest.raises(OSError, match=r".") as caught:
            await sock.recv(1)
        assert type(caught.value) is type(expected.value)
        assert caught.value.args == expected.value.args
        assert repr(caught.value) == repr(expected.value)


if sys.platform == "win32":

    async def test_a_socket_can_be_shared_and_the_copy_received_on() -> None:
        with socket_pair() as (sock, other):
            other.sendall(b"one two")
            assert await sock.recv(3) == b"one"
            copy = socket.fromshare(sock.share(os.getpid()))
            with trio_wsarecv.from_stdlib_socket(copy) as shared:
                assert await shared.recv(10) == b" two"
            other.sendall(b"three")
            assert await sock.recv(10) == b"three"


async def test_tells_whether_it_is_readable() -> None:
    with socket_pair() as (sock, other):
        assert not sock.is_readable()
        other.sendall(b"data")
        await trio.lowlevel.wait_readable(sock)
        assert sock.is_readable()
        assert await sock.recv(10) == b"data"
        assert not sock.is_readable()
        sock.receiver.pushed_back.defer(ConnectionResetError())
        assert sock.is_readable()
        with pytest.raises(ConnectionResetError):
            await sock.recv(10)
        assert not sock.is_readable()


async def recv_into_buffer(sock: trio_wsarecv.Socket, nbytes: int, flags: int = 0) -> bytes:
    buffer = bytearray(nbytes)
    return bytes(buffer[: await sock.recv_into(buffer, flags=flags)])


async def recv(sock: trio_wsarecv.Socket, nbytes: int, flags: int = 0) -> bytes:
    return await sock.recv(nbytes, flags)


both = pytest.mark.parametrize("receive", [recv, recv_into_buffer])


@pytest.mark.parametrize(
    "nbytes",
    # Elsewhere Python allocates all of it.
    [2**20, *(pytest.param(n, marks=pytest.mark.windows) for n in (2**40, sys.maxsize))],
)
async def test_a_busy_connection_can_be_asked_for_more_than_there_is_memory(nbytes: int) -> None:
    with socket_pair() as (sock, other):
        other.sendall(pattern(5000))
        await trio.lowlevel.wait_readable(sock)
        assert await sock.recv(nbytes) == pattern(5000)
        other.sendall(b"data")
        assert await sock.recv(nbytes) == b"data"


@both
async def test_receives_what_waits_and_what_comes_later(receive: Callable[..., Any]) -> None:
    counted = Counted()
    with socket_pair() as (sock, other):
        other.sendall(b"waiting")
        await trio.lowlevel.wait_readable(sock)
        assert await receive(sock, 2) == b"wa"
        assert await receive(sock, 100) == b"iting"
        assert (counted.immediate, counted.pended) == (2, 0)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive_later() -> None:
                assert await receive(sock, 100) == b"later"

            await wait_all_tasks_blocked()
            other.sendall(b"later")
        other.close()
        assert await receive(sock, 100) == b""
        assert await receive(sock, 100) == b""
    assert counted.pended >= 1
    assert counted.bytes == 12
    assert counted.failed == counted.cancelled == counted.received_despite_cancel == 0
    # Each is one overlapped call, whether data waits or not.
    receives = counted.immediate + counted.pended
    assert counted.overlapped == counted.wsarecv_calls == (receives if on_windows else 0)
    assert counted.overlapped_sockets == on_windows
    assert counted.readiness_sockets == (not on_windows)


@both
async def test_every_receive_is_a_checkpoint(receive: Callable[..., Any]) -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        await trio.lowlevel.wait_readable(sock)
        for nbytes, flags in ((2, socket.MSG_PEEK), (2, 0), (0, 0), (100, 0)):
            with trio.testing.assert_checkpoints():
                await receive(sock, nbytes, flags)
        sock.close()
        with trio.testing.assert_checkpoints(), pytest.raises(OSError, match=r"."):
            await receive(sock, 10)


async def test_a_receive_of_nothing_does_not_wait() -> None:
    with socket_pair() as (sock, other):
        for _ in range(2):
            assert await sock.recv(0) == b""
            assert await sock.recv_into(bytearray()) == 0
            assert await sock.recv_into(memoryview(bytearray(5))[3:3]) == 0
            other.sendall(b"data")
            await trio.lowlevel.wait_readable(sock)
        assert await sock.recv(100) == b"datadata"


@both
async def test_peeking_does_not_eat(receive: Callable[..., Any]) -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def peek() -> None:
                assert await receive(sock, 2, socket.MSG_PEEK) == b"da"

            await wait_all_tasks_blocked()
            other.sendall(b"data")
        assert await receive(sock, 100, socket.MSG_PEEK) == b"data"
        assert await receive(sock, 100) == b"data"
        with trio.move_on_after(0) as scope:
            await receive(sock, 100, socket.MSG_PEEK)
        assert scope.cancelled_caught


@both
async def test_a_second_receiver_is_refused(receive: Callable[..., Any]) -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def first() -> None:
                assert await receive(sock, 100) == b"data"

            await wait_all_tasks_blocked()
            for attempt in (recv, recv_into_buffer):
                with pytest.raises(trio.BusyResourceError):
                    await attempt(sock, 10)
                with pytest.raises(trio.BusyResourceError):
                    await attempt(sock, 10, socket.MSG_PEEK)
            assert await sock.send(b"sending is another matter") == 25
            other.sendall(b"data")


@both
async def test_a_reset_is_the_error_that_python_raises(
    peer: HostilePeer, receive: Callable[..., Any]
) -> None:
    counted = Counted()
    async with peer.connect() as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def reset() -> None:
            await wait_all_tasks_blocked()
            await peer.tell(stream, "reset")

        with pytest.raises(ConnectionResetError) as caught:
            await receive(stream.socket, 10)
        if sys.platform == "win32":
            assert caught.value.winerror == 10054
            with pytest.raises(ConnectionResetError) as known:
                raise OSError(None, caught.value.strerror, None, 10054)
            assert str(caught.value) == str(known.value)
    assert counted.failed == 1


@pytest.mark.real_windows(wine=(10,))
@both
async def test_a_reset_before_the_receive_is_the_same_error(
    peer: HostilePeer, receive: Callable[..., Any]
) -> None:
    async with peer.connect("reset") as stream:
        await trio.lowlevel.wait_readable(stream.socket)
        counted = Counted()
        with pytest.raises(ConnectionResetError) as caught:
            await receive(stream.socket, 10)
        assert getattr(caught.value, "winerror", None) == 10054
        assert (counted.failed, counted.pended) == (1, 0)
        await wait_all_tasks_blocked()  # a packet that nobody waits for would end the run


async def test_serves_both_families_and_datagrams() -> None:
    if socket.has_ipv6:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            one = socket.socket(socket.AF_INET6)
            with trio_wsarecv.from_stdlib_socket(one) as sock:
                await sock.connect(listener.getsockname())
                other, _ = listener.accept()
                with other:
                    other.sendall(b"six")
                    assert await sock.recv(10) == b"six"
    with (
        trio_wsarecv.from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM)) as receiver,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        await receiver.bind(("127.0.0.1", 0))
        for message in (b"one", b"", b"three"):
            sender.sendto(message, receiver.getsockname())
        assert await receiver.recv(100) == b"one"
        assert await recv_into_buffer(receiver, 100) == b""
        assert await receiver.recv(100) == b"three"


class TestForeignSockets:
    """Sockets that Trio's completion port cannot have, and programs that use several runs."""

    def check(self, sock: trio_wsarecv.Socket, other: socket.socket, *, overlapped: bool) -> None:
        async def main() -> None:
            counted = Counted()
            other.sendall(b"waiting")
            await trio.lowlevel.wait_readable(sock)
            assert await sock.recv(100) == b"waiting"
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def receive() -> None:
                    assert await recv_into_buffer(sock, 100) == b"later"

                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await sock.recv(1)
                other.sendall(b"later")
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio_wsarecv.SocketStream(sock).receive_exactly, 100)
                    other.sendall(b"half")
                    await wait_all_tasks_blocked()
                    scope.cancel()
            assert scope.cancelled_caught
            assert await sock.recv(100) == b"half"
            assert counted.overlapped_sockets == overlapped
            assert counted.readiness_sockets == (not overlapped)
            assert bool(counted.overlapped) is overlapped

        trio.run(main)

    def check_closing(self, sock: trio_wsarecv.Socket, other: socket.socket) -> None:
        async def main() -> None:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def receive() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await sock.recv(100)

                await wait_all_tasks_blocked()
                sock.close()
            other.settimeout(10)
            assert other.recv(10) == b""

        trio.run(main)

    def test_a_socket_in_several_runs(self) -> None:
        with stdlib_pair() as (one, other):
            sock = trio_wsarecv.from_stdlib_socket(one)
            self.check(sock, other, overlapped=on_windows)
            self.check(sock, other, overlapped=False)
            self.check(trio_wsarecv.from_stdlib_socket(one), other, overlapped=False)
            self.check_closing(sock, other)

    def test_a_socket_that_asyncio_has_used(self) -> None:
        with stdlib_pair() as (one, other):
            one.setblocking(False)
            other.sendall(b"for asyncio")

            async def main() -> None:
                assert await asyncio.get_running_loop().sock_recv(one, 100) == b"for asyncio"

            asyncio.run(main())
            sock = trio_wsarecv.from_stdlib_socket(one)
            self.check(sock, other, overlapped=False)
            self.check_closing(sock, other)

    if sys.platform == "win32":

        async def test_a_socket_that_another_library_has_registered(self) -> None:
            counted = Counted()
            with stdlib_pair() as (one, other):
                trio.lowlevel.register_with_iocp(one.fileno())
                sock = trio_wsarecv.from_stdlib_socket(one)
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def receive() -> None:
                        assert await sock.recv(100) == b"data"

                    await wait_all_tasks_blocked()
                    other.sendall(b"data")
            assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)

        def test_a_socket_that_is_not_overlapped(self) -> None:
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
                    sock = trio_wsarecv.from_stdlib_socket(one)
                    self.check(sock, other, overlapped=False)
                    self.check_closing(sock, other)
