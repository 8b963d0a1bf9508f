"""`SocketStream`: Trio's contract for streams, and the receives that Trio's streams lack."""

from __future__ import annotations

import pickle
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

import trio_wsarecv
from tests.peers import Counted, HostilePeer, pattern, receive_when, stdlib_pair, stream_pair, when
from tests.receiving import call, on_windows

if TYPE_CHECKING:
    pass


RESET_ON_CLOSE = struct.pack("hh" if on_windows else "ii", 1, 0)


async def make_stream_pair() -> tuple[trio_wsarecv.SocketStream, trio_wsarecv.SocketStream]:
    one, other = map(trio_wsarecv.from_stdlib_socket, socket.socketpair())
    return trio_wsarecv.SocketStream(one), trio_wsarecv.SocketStream(other)


async def make_clogged_stream_pair() -> tuple[trio_wsarecv.SocketStream, trio_wsarecv.SocketStream]:
    streams = await make_stream_pair()
    for stream in streams:
        with suppress(BlockingIOError):
            while True:
                stream.socket.stdlib.send(bytes(65536))
    return streams


async def test_it_meets_the_contract_of_a_half_closeable_stream() -> None:
    counted = Counted()
    # Clogged sends are stock Trio's, and under Wine those fail Trio's own check.
    clogged = None if on_windows else make_clogged_stream_pair
    await trio.testing.check_half_closeable_stream(make_stream_pair, clogged)
    assert counted.pended
    assert bool(counted.wsarecv_calls) is on_windows
    assert bool(counted.readiness_sockets) is not on_windows


@when
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("receive_some", (), b"0123456789"),
        ("receive_some", (4,), b"0123"),
        ("receive_some", (100,), b"0123456789"),
        ("receive_exactly", (10,), b"0123456789"),
        ("receive_exactly", (3,), b"012"),
    ],
)
async def test_receives_what_was_sent(
    pending: bool, name: str, arguments: tuple[int, ...], expected: bytes
) -> None:
    counted = Counted()
    with stream_pair() as (stream, other):

        async def receive() -> Any:
            if not pending:
                await trio.lowlevel.wait_readable(stream.socket)
            return await call(stream.socket, name, *arguments)

        received = await receive_when(pending, receive, lambda: other.sendall(b"0123456789"))
        assert received == expected
        assert (counted.immediate, counted.pended) == ((0, 1) if pending else (1, 0))
        other.close()
        rest = b"".join([data async for data in stream])
        assert expected + rest == b"0123456789"
    assert counted.bytes == 10
    assert bool(counted.wsarecv_calls) is on_windows


async def test_the_end_of_the_stream_stays_the_end() -> None:
    with stream_pair() as (stream, other):
        other.sendall(b"last")
        other.shutdown(socket.SHUT_WR)
        assert await stream.receive_exactly(4) == b"last"
        for _ in range(3):
            assert await stream.receive_some() == b""
            assert await stream.receive_some(5) == b""
            assert await stream.receive_into(bytearray(5)) == 0
            assert await stream.receive_exactly(0) == b""
            with pytest.raises(trio_wsarecv.IncompleteReceiveError):
                await stream.receive_exactly(1)
        await stream.send_all(b"still open")
        assert other.recv(100) == b"still open"


async def test_an_exact_receive_of_many_megabytes(peer: HostilePeer) -> None:
    nbytes = 8 << 20
    counted = Counted()
    async with peer.connect(f"send {nbytes}", "fin") as stream:
        assert await stream.receive_exactly(nbytes) == pattern(nbytes)
        assert await stream.receive_some() == b""
    assert counted.bytes == nbytes


@pytest.mark.parametrize(
    ("name", "argument"), [("receive_exactly", 100), ("receive_exactly_into", bytearray(100))]
)
async def test_an_exact_receive_cut_short_by_the_end_raises_what_it_received(
    name: str, argument: Any
) -> None:
    with stream_pair() as (stream, other):
        other.sendall(b"only this")
        other.close()
        with pytest.raises(trio_wsarecv.IncompleteReceiveError) as caught:
            await call(stream.socket, name, argument)
        assert str(caught.value) == "the stream ended after 9 of 100 bytes"
        vars(caught.value)["note"] = "in the header"
        for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
            assert (error.partial, error.expected) == (b"only this", 100)
            assert vars(error)["note"] == "in the header"
        assert isinstance(caught.value, EOFError)
        assert await stream.receive_some() == b""


async def test_bytes_that_came_before_a_reset_are_not_lost(peer: HostilePeer) -> None:
    counted = Counted()
    async with peer.connect("send 8") as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def reset() -> None:
            while counted.bytes < 8:
                await trio.lowlevel.checkpoint()
            await peer.tell(stream, "reset")

        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_exactly(100)
        assert await stream.receive_some() == pattern(8)


async def test_other_tasks_run_between_the_receives_of_a_flood(peer: HostilePeer) -> None:
    turns = 0
    async with peer.connect("flood 1000000") as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def count_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        for receives in range(100):
            await stream.receive_some()
            assert turns >= receives - 1  # for in each turn, Trio chooses who is first
        nursery.cancel_scope.cancel()


async def test_it_has_the_options_of_its_socket() -> None:
    with stream_pair() as (stream, _):
        assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        assert not stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not any(stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 4))


@pytest.mark.parametrize("install", [False, True])
async def test_it_takes_over_the_socket_of_a_stream_that_trio_made(install: bool) -> None:
    if install:
        trio_wsarecv.install()
    counted = Counted()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = await trio.open_tcp_stream(*listener.getsockname())
        handle = made.socket.fileno()
        other, _ = listener.accept()
    with other:
        async with trio_wsarecv.SocketStream(made.socket) as stream:
            assert type(stream.socket) is trio_wsarecv.Socket
            assert stream.socket.fileno() == handle
            other.sendall(b"hello")
            assert await stream.receive_exactly(5) == b"hello"
            await stream.send_all(b"answer")
            assert other.recv(10) == b"answer"
        assert other.recv(10) == b""
    assert made.socket.fileno() == -1
    assert counted.overlapped_sockets == on_windows
    assert counted.readiness_sockets == (not on_windows)


async def test_a_stream_that_has_sent_its_end_cannot_send_after_it_is_taken_over() -> None:
    with stdlib_pair() as (one, _):
        plain = trio.SocketStream(trio.socket.from_stdlib_socket(one))
        await plain.send_eof()
        async with trio_wsarecv.SocketStream(plain.socket) as stream:
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"data")


async def test_a_stream_that_has_sent_its_end_can_do_so_again_after_a_reset() -> None:
    with stdlib_pair() as (one, other):
        plain = trio.SocketStream(trio.socket.from_stdlib_socket(one))
        await plain.send_eof()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        other.close()
        async with trio_wsarecv.SocketStream(plain.socket) as stream:
            assert stream.socket.did_shutdown_SHUT_WR
            await stream.send_eof()


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("receive_exactly", 0),
        ("receive_exactly_into", bytearray()),
        ("receive_into", bytearray()),
        ("receive_some", 1),
    ],
)
async def test_a_receive_on_a_closed_stream_is_refused_even_if_it_is_for_nothing(
    name: str, argument: Any
) -> None:
    stream, other = await make_stream_pair()
    await other.aclose()
    await stream.aclose()
    with trio.testing.assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await getattr(stream, name)(argument)


async def test_socket_options_are_taken_as_by_a_stream_of_trio() -> None:
    with stream_pair() as (stream, _):
        level, option = socket.SOL_SOCKET, socket.SO_KEEPALIVE
        stream.setsockopt(level, option, value=b"\1\0\0\0")
        assert stream.getsockopt(level, option)
        assert stream.getsockopt(level, option, buffersize=4) != bytes(4)
        stream.setsockopt(level, option, 0)
        assert not stream.getsockopt(level, option)


async def test_a_socket_that_cannot_be_a_stream_is_refused_and_stays_open() -> None:
    with stdlib_pair() as (one, _), pytest.raises(TypeError, match="Trio socket"):
        trio_wsarecv.SocketStream(one)  # type: ignore[arg-type]
    for from_stdlib_socket in (trio.socket.from_stdlib_socket, trio_wsarecv.from_stdlib_socket):
        with from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM)) as datagrams:
            with pytest.raises(ValueError, match="SOCK_STREAM"):
                trio_wsarecv.SocketStream(datagrams)
            assert datagrams.fileno() != -1
