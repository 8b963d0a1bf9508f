"""`SocketStream`: Trio's contract for streams, and the receives that Trio's streams lack."""

from __future__ import annotations

import pickle
import socket
from contextlib import suppress

import pytest
import trio
import trio.testing

import trio_wsarecv
from tests.hostile import RESET_ON_CLOSE
from tests.peers import Counted, stdlib_pair, stream_pair
from tests.receiving import on_windows


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


async def test_an_exact_receive_cut_short_by_the_end_raises_what_it_received() -> None:
    with stream_pair() as (stream, other):
        other.sendall(b"only this")
        other.close()
        with pytest.raises(trio_wsarecv.IncompleteReceiveError) as caught:
            await stream.receive_exactly_into(bytearray(100))
        assert str(caught.value) == "the stream ended after 9 of 100 bytes"
        vars(caught.value)["note"] = "in the header"
        for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
            assert (error.partial, error.expected) == (b"only this", 100)
            assert vars(error)["note"] == "in the header"
        assert await stream.receive_some() == b""


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


async def test_a_stream_that_has_sent_its_end_is_taken_over_as_one() -> None:
    with stdlib_pair() as (one, other):
        plain = trio.SocketStream(trio.socket.from_stdlib_socket(one))
        await plain.send_eof()
        async with trio_wsarecv.SocketStream(plain.socket) as stream:
            assert stream.socket.did_shutdown_SHUT_WR
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"data")
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            other.close()
            await stream.send_eof()


async def test_socket_options_are_taken_as_by_a_stream_of_trio() -> None:
    with stream_pair() as (stream, _):
        assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
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
