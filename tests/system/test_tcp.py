"""Trio's functions for TCP, which give streams of this package."""

from __future__ import annotations

import socket
from functools import partial

import pytest
import trio
import trio.testing

import trio_wsarecv
from tests.peers import Counted, stdlib_pair
from tests.receiving import on_windows


async def echo(stream: trio_wsarecv.SocketStream) -> None:
    assert type(stream) is trio_wsarecv.SocketStream
    async with stream:
        async for data in stream:
            await stream.send_all(data)


@pytest.mark.parametrize("installed", [False, True])
async def test_a_server_and_its_clients(installed: bool) -> None:
    if installed:
        trio.socket.set_custom_socket_factory(trio_wsarecv.SocketFactory())
    counted = Counted()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio_wsarecv.serve_tcp, echo, 0, host="127.0.0.1"))
        assert [type(listener) for listener in listeners] == [trio_wsarecv.SocketListener]
        address = listeners[0].socket.getsockname()

        async def talk(number: int) -> None:
            stream = await trio_wsarecv.open_tcp_stream(*address)
            assert type(stream) is trio_wsarecv.SocketStream
            assert type(stream.socket) is trio_wsarecv.Socket
            message = f"hello from {number}".encode()
            async with stream:
                await stream.send_all(message)
                assert await stream.receive_exactly(len(message)) == message
                await stream.send_eof()
                assert await stream.receive_some() == b""

        async with trio.open_nursery() as clients:
            for number in range(20):
                clients.start_soon(talk, number)
        nursery.cancel_scope.cancel()
    assert counted.overlapped_sockets == (40 if on_windows else 0)
    assert counted.readiness_sockets == (0 if on_windows else 40)


async def test_a_server_with_a_nursery_for_its_handlers() -> None:
    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                partial(trio_wsarecv.serve_tcp, echo, 0, host="127.0.0.1", handler_nursery=handlers)
            )
            stream = await trio_wsarecv.open_tcp_stream(*listeners[0].socket.getsockname())
            await stream.send_all(b"first")
            assert await stream.receive_exactly(5) == b"first"
            nursery.cancel_scope.cancel()
        async with stream:
            await stream.send_all(b"second")
            assert await stream.receive_exactly(6) == b"second"


async def test_a_listener_listens_until_it_is_closed() -> None:
    listeners = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1", backlog=5)
    (listener,) = listeners
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


async def test_a_connection_is_made_with_the_options_of_trio() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await trio_wsarecv.open_tcp_stream(
            *listener.getsockname(), happy_eyeballs_delay=0.1, local_address="127.0.0.1"
        )
        async with stream:
            assert stream.socket.getsockname()[0] == "127.0.0.1"
            assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert stream.socket.family == socket.AF_INET
            assert stream.socket.type == socket.SOCK_STREAM


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


async def test_a_listener_takes_over_the_socket_of_one_that_trio_made() -> None:
    (made,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = made.socket.getsockname()
    async with trio_wsarecv.SocketListener(made.socket) as listener:
        assert type(listener.socket) is trio_wsarecv.Socket
        assert made.socket.fileno() == -1
        client = await trio.open_tcp_stream(*address)
        async with client, await listener.accept() as stream:
            await client.send_all(b"hello")
            assert await stream.receive_exactly(5) == b"hello"
