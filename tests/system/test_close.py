"""Closing: a waiting receive ends, the peer gets a clean end of stream, the handle is closed."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Awaitable, Callable

import outcome
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import HostilePeer, receive_when, socket_pair, stdlib_pair
from tests.receiving import Receive, every_stream_receive, on_windows, winerror
from tests.simulation import Call

Close = Callable[[trio_wsarecv.SocketStream], Awaitable[object]]


async def close_socket(stream: trio_wsarecv.SocketStream) -> None:
    stream.socket.close()


async def leave_block(stream: trio_wsarecv.SocketStream) -> None:
    with stream.socket:
        pass


async def leave_block_by_exception(stream: trio_wsarecv.SocketStream) -> None:
    with pytest.raises(ZeroDivisionError), stream.socket:
        raise ZeroDivisionError


CLOSES: dict[str, Close] = {
    "aclose": trio_wsarecv.SocketStream.aclose,
    "aclose_forcefully": trio.aclose_forcefully,
    "Socket.close": close_socket,
    "with": leave_block,
    "with and exception": leave_block_by_exception,
}
every_close = pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES)


@every_close
@every_stream_receive
async def test_closing_ends_a_receive_and_the_connection_cleanly(
    peer: HostilePeer, receive: Receive, close: Close
) -> None:
    async with peer.connect_watched() as (stream, name):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, receive, stream.socket)
            await wait_all_tasks_blocked()
            await close(stream)
            assert stream.socket.fileno() == -1
            with pytest.raises(OSError, match=r"."):
                await stream.socket.send(b"too late")
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"too late")
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()
        assert isinstance(receiver.error, trio.ClosedResourceError)
        assert "closed" in repr(stream.socket)
        # Without a closed handle the peer would wait for ever.
        assert await peer.result(name) == "0 bytes, then the end"


@pytest.mark.parametrize("first", ["close", "cancel"])
@every_stream_receive
async def test_the_first_of_close_and_cancel_decides(
    peer: HostilePeer, receive: Receive, first: str
) -> None:
    async with peer.connect_watched() as (stream, name):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, receive, stream.socket)
            await wait_all_tasks_blocked()
            if first == "cancel":
                receiver.scope.cancel()
            stream.socket.close()
            receiver.scope.cancel()
        expected = trio.ClosedResourceError if first == "close" else trio.Cancelled
        assert isinstance(receiver.error, expected)
        assert await peer.result(name) == "0 bytes, then the end"


@every_close
async def test_closing_ends_a_receive_although_a_duplicate_is_open(
    peer: HostilePeer, close: Close
) -> None:
    # Then closing the handle alone would end nothing.
    async with peer.connect_watched() as (stream, name):
        with stream.socket.dup() as duplicate:
            async with trio.open_nursery() as nursery:
                receiver = Call(nursery, stream.receive_some)
                await wait_all_tasks_blocked()
                await close(stream)
            assert isinstance(receiver.error, trio.ClosedResourceError)
            assert await duplicate.send(b"more") == 4  # the connection is still open
        assert await peer.result(name) == "4 bytes, then the end"


async def test_closing_a_duplicate_leaves_the_receive_waiting() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, sock.recv, 10)
            await wait_all_tasks_blocked()
            sock.dup().close()
            await wait_all_tasks_blocked()
            other.sendall(b"data")
        assert receiver.value == b"data"


async def test_closing_ends_wait_readable_too() -> None:
    with socket_pair() as (sock, _):
        async with trio.open_nursery() as nursery:
            waiter = Call(nursery, trio.lowlevel.wait_readable, sock)
            await wait_all_tasks_blocked()
            sock.close()
        assert isinstance(waiter.error, trio.ClosedResourceError)


async def test_shutting_the_receiving_side_down_ends_a_receive() -> None:
    with socket_pair() as (sock, _):
        result = await receive_when(
            True,
            lambda: outcome.acapture(sock.recv, 10),
            lambda: sock.shutdown(socket.SHUT_RD),
        )
        if on_windows:
            assert winerror(result.error) == 10058
        else:
            assert result.unwrap() == b""


async def test_shutting_the_sending_side_down_leaves_the_receive_waiting(peer: HostilePeer) -> None:
    async with peer.connect("echo") as stream:
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, stream.receive_exactly, 5)
            await wait_all_tasks_blocked()
            await stream.send_all(b"hello")
            await stream.send_eof()
        assert receiver.value == b"hello"
        assert await stream.receive_some() == b""


async def test_a_socket_that_is_dropped_is_closed() -> None:
    with stdlib_pair() as (one, other):
        sock = trio_wsarecv.from_stdlib_socket(socket.socket(fileno=one.detach()))
        other.sendall(b"data")
        assert await sock.recv(10) == b"data"
        cycle = [sock]
        cycle.append(cycle)  # type: ignore[arg-type]
        del sock, cycle
        with pytest.warns(ResourceWarning, match="unclosed"):
            gc.collect()
        other.settimeout(10)
        assert other.recv(10) == b""


if sys.platform == "win32":
    import psutil

    async def test_closing_leaks_no_handle() -> None:
        process = psutil.Process()

        async def use_and_close() -> None:
            with socket_pair() as (sock, _), pytest.raises(trio.ClosedResourceError):
                await receive_when(True, lambda: sock.recv(10), sock.close)

        await use_and_close()
        before = process.num_handles()
        for _ in range(20):
            await use_and_close()
        assert process.num_handles() < before + 10
