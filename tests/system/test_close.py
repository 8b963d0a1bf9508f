"""Closing: a waiting receive ends, the peer gets a clean end of stream, the handle is closed."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable

import outcome
import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import HostilePeer, receive_when, socket_pair
from tests.receiving import STREAM_RECEIVES, on_windows, winerror
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


@pytest.mark.parametrize(
    ("receive", "close"),
    [
        *((name, close_socket) for name in STREAM_RECEIVES),
        ("recv", trio_wsarecv.SocketStream.aclose),
        ("recv", trio.aclose_forcefully),
        ("recv", leave_block),
        ("recv", leave_block_by_exception),
    ],
)
async def test_closing_ends_a_receive_and_the_connection_cleanly(
    peer: HostilePeer, receive: str, close: Close
) -> None:
    async with peer.connect_watched() as (stream, name):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, STREAM_RECEIVES[receive], stream.socket)
            await wait_all_tasks_blocked()
            await close(stream)
            assert stream.socket.fileno() == -1
            with pytest.raises(OSError, match=r"."):
                await stream.socket.send(b"too late")
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"too late")
            for nothing in (stream.receive_exactly(0), stream.receive_into(bytearray())):
                with assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
                    await nothing
        assert isinstance(receiver.error, trio.ClosedResourceError)
        assert "closed" in repr(stream.socket)
        # Without a closed handle the peer would wait for ever.
        assert await peer.result(name) == "0 bytes, then the end"


async def test_closing_ends_a_receive_although_a_duplicate_is_open(peer: HostilePeer) -> None:
    # Then closing the handle alone would end nothing.
    async with peer.connect_watched() as (stream, name):
        with stream.socket.dup() as duplicate:
            async with trio.open_nursery() as nursery:
                receiver = Call(nursery, stream.receive_some)
                await wait_all_tasks_blocked()
                stream.socket.dup().close()
                await wait_all_tasks_blocked()
                assert not receiver.done
                stream.socket.close()
            assert isinstance(receiver.error, trio.ClosedResourceError)
            assert await duplicate.send(b"more") == 4  # the connection is still open
        assert await peer.result(name) == "4 bytes, then the end"


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
