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
