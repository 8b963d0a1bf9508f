"""Closing: the receiving task is told, the peer sees a clean end, and the handle is closed."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, HostilePeer, socket_pair, stdlib_pair, wait_until_received
from tests.simulation import Call

Receive = Callable[[trio_wsarecv.SocketStream], Awaitable[object]]
Close = Callable[[trio_wsarecv.SocketStream], Awaitable[object]]

on_windows = sys.platform == "win32"


async def close_socket(stream: trio_wsarecv.SocketStream) -> None:
    stream.socket.close()


async def leave_block(stream: trio_wsarecv.SocketStream) -> None:
    with stream.socket:
        pass


async def leave_block_by_exception(stream: trio_wsarecv.SocketStream) -> None:
    with pytest.raises(ZeroDivisionError), stream.socket:
        raise ZeroDivisionError


async def close_forcefully(stream: trio_wsarecv.SocketStream) -> None:
    await trio.aclose_forcefully(stream)


CLOSES: dict[str, Close] = {
    "aclose": trio_wsarecv.SocketStream.aclose,
    "aclose_forcefully": close_forcefully,
    "Socket.close": close_socket,
    "with": leave_block,
    "with and exception": leave_block_by_exception,
}
RECEIVES: dict[str, Receive] = {
    "receive_some": lambda stream: stream.receive_some(),
    "receive_into": lambda stream: stream.receive_into(bytearray(10)),
    "receive_exactly": lambda stream: stream.receive_exactly(10),
    "receive_exactly_into": lambda stream: stream.receive_exactly_into(bytearray(10)),
    "recv": lambda stream: stream.socket.recv(10),
    "recv_into": lambda stream: stream.socket.recv_into(bytearray(10)),
}


@pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES)
@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
async def test_closing_ends_a_receive_and_the_connection_cleanly(
    peer: HostilePeer, receive: Receive, close: Close
) -> None:
    async with peer.connect_watched() as (stream, name):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive_until_closed() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await receive(stream)
                # Not only closed for us: the handle is gone, or the peer would wait for ever.
                assert await peer.result(name) == "0 bytes, then the end"

            await wait_all_tasks_blocked()
            await close(stream)
            assert stream.socket.fileno() == -1
            with pytest.raises(OSError, match=r"."):
                await stream.socket.send(b"too late")
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"too late")
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()
        assert "closed" in repr(stream.socket)


@pytest.mark.parametrize("order", ["close first", "cancel first"])
@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
async def test_closing_and_cancelling_in_the_same_moment(
    peer: HostilePeer, receive: Receive, order: str
) -> None:
    async with peer.connect_watched() as (stream, name):
        async with trio.open_nursery() as nursery:
            call = Call(nursery, receive, stream)
            await wait_all_tasks_blocked()
            if order == "cancel first":
                call.scope.cancel()
            stream.socket.close()
            call.scope.cancel()
        if order == "close first":
            assert isinstance(call.error, trio.ClosedResourceError)
        else:
            assert call.cancelled
        assert await peer.result(name) == "0 bytes, then the end"


@pytest.mark.windows
async def test_closing_after_a_completion_gives_its_bytes_and_a_clean_end() -> None:
    buffer = bytearray(10)
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            call = Call(nursery, sock.recv_into, buffer)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            wait_until_received(buffer)
            sock.close()
            assert sock.fileno() == -1
        assert call.value == 4
        assert buffer == b"data" + bytes(6)
        other.settimeout(10)
        assert other.recv(10) == b""


@pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES)
async def test_closing_while_a_duplicate_lives(peer: HostilePeer, close: Close) -> None:
    # Then closing the handle alone would end nothing.
    async with peer.connect_watched() as (stream, name):
        with stream.socket.dup() as duplicate:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def receive() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await stream.receive_some()

                await wait_all_tasks_blocked()
                await close(stream)
            # The connection is the duplicate's now.
            assert await duplicate.send(b"more") == 4
        assert await peer.result(name) == "4 bytes, then the end"


async def test_closing_a_duplicate_does_not_disturb_the_receive() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await sock.recv(10) == b"data"

            await wait_all_tasks_blocked()
            sock.dup().close()
            await wait_all_tasks_blocked()
            other.sendall(b"data")


async def test_trio_can_be_told_that_the_socket_is_about_to_close() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await trio.lowlevel.wait_readable(sock)

            await wait_all_tasks_blocked()
            sock.close()
        assert other.recv(10) == b""


async def test_shutting_the_receiving_side_down_ends_a_receive() -> None:
    with socket_pair() as (sock, _):
        outcomes: list[Any] = []
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                try:
                    outcomes.append(await sock.recv(10))
                except OSError as exc:
                    outcomes.append(getattr(exc, "winerror", None))

            await wait_all_tasks_blocked()
            sock.shutdown(socket.SHUT_RD)
        assert outcomes == ([10058] if on_windows else [b""])


async def test_shutting_the_sending_side_down_leaves_the_receive_alone(peer: HostilePeer) -> None:
    counted = Counted()
    async with peer.connect("echo") as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive() -> None:
            assert await stream.receive_exactly(5) == b"hello"
            assert await stream.receive_some() == b""

        await wait_all_tasks_blocked()
        await stream.send_all(b"hello")
        await stream.send_eof()
    assert counted.failed == 0


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

    async def test_no_handle_is_left_over() -> None:
        process = psutil.Process()

        async def use_and_close() -> None:
            with socket_pair() as (sock, _):
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def receive() -> None:
                        with pytest.raises(trio.ClosedResourceError):
                            await sock.recv(10)

                    await wait_all_tasks_blocked()
                    sock.close()

        await use_and_close()
        before = process.num_handles()
        for _ in range(20):
            await use_and_close()
        assert process.num_handles() < before + 10
