"""`SocketStream`, `SocketListener`, and Trio's functions for TCP, which give them."""

from __future__ import annotations

import pickle
import socket
from contextlib import suppress
from functools import partial

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
    # Under Wine stock Trio's own streams fail its check of sends that wait.
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


# Listeners, servers and clients.


async def echo(stream: trio_wsarecv.SocketStream) -> None:
    assert type(stream) is trio_wsarecv.SocketStream
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def talk(stream: trio_wsarecv.SocketStream, message: bytes) -> None:
    await stream.send_all(message)
    assert await stream.receive_exactly(len(message)) == message


@pytest.mark.parametrize("installed", [False, True])
async def test_a_server_and_its_clients(installed: bool) -> None:
    if installed:
        trio.socket.set_custom_socket_factory(trio_wsarecv.SocketFactory())
    counted = Counted()
    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as nursery:
            serve = partial(trio_wsarecv.serve_tcp, echo, handler_nursery=handlers)
            (listener,) = await nursery.start(partial(serve, 0, host="127.0.0.1"))
            assert type(listener) is trio_wsarecv.SocketListener
            connect = partial(trio_wsarecv.open_tcp_stream, local_address="127.0.0.2")
            streams = [await connect(*listener.socket.getsockname()) for _ in range(20)]
            async with trio.open_nursery() as clients:
                for number, stream in enumerate(streams):
                    assert type(stream) is trio_wsarecv.SocketStream
                    assert type(stream.socket) is trio_wsarecv.Socket
                    assert stream.socket.getsockname()[0] == "127.0.0.2"
                    assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    clients.start_soon(talk, stream, f"hello from {number}".encode())
            nursery.cancel_scope.cancel()
        for stream in streams:  # the handlers go on
            async with stream:
                await talk(stream, b"again")
                await stream.send_eof()
                assert await stream.receive_some() == b""
    assert counted.overlapped_sockets == (40 if on_windows else 0)
    assert counted.readiness_sockets == (0 if on_windows else 40)


@pytest.mark.parametrize("taken_over", [False, True])
async def test_a_listener_listens_until_it_is_closed(taken_over: bool) -> None:
    if taken_over:
        (made,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        listener = trio_wsarecv.SocketListener(made.socket)
        assert made.socket.fileno() == -1
    else:
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1", backlog=5)
    assert type(listener.socket) is trio_wsarecv.Socket
    async with listener, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def accept() -> None:
            async with await listener.accept() as stream:
                assert await stream.receive_exactly(5) == b"hello"
            with pytest.raises(trio.ClosedResourceError):
                await listener.accept()

        with socket.create_connection(listener.socket.getsockname()) as client:
            client.sendall(b"hello")
            assert await trio.to_thread.run_sync(client.recv, 10) == b""
        await trio.testing.wait_all_tasks_blocked()
        await listener.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


async def test_errors_are_those_of_trio() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio_wsarecv.open_tcp_stream(*address)
    with pytest.raises(ValueError, match="host must be str or bytes, not None"):
        await trio_wsarecv.open_tcp_stream(None, 80)  # type: ignore[arg-type]
    with stdlib_pair() as (one, _):
        with pytest.raises(TypeError, match="Trio socket"):
            trio_wsarecv.SocketListener(one)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="listen"):
            trio_wsarecv.SocketListener(trio_wsarecv.from_stdlib_socket(one))
