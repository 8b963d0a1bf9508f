"""`Socket`: Trio's socket in everything but receiving, and every receive of it on a stream."""

from __future__ import annotations

import signal
import socket
import ssl
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, HostilePeer, push_back, receive_when, socket_pair, stdlib_pair
from tests.receiving import RECEIVES, STREAM_RECEIVES, on_windows, result_of, winerror
from tests.simulation import Call


async def test_it_is_a_trio_socket_in_every_respect() -> None:
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


async def test_it_wraps_only_a_plain_socket() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    options: Any = {"server_hostname": "x", "do_handshake_on_connect": False}
    with stdlib_pair() as (one, _), context.wrap_socket(socket.socket(), **options) as wrapped:
        bad: Any
        for bad in (wrapped, trio.socket.from_stdlib_socket(one), one.fileno(), None):
            for function in (trio_wsarecv.from_stdlib_socket, trio.socket.from_stdlib_socket):
                with pytest.raises(TypeError, match=r"expected object of type 'socket\.socket'"):
                    function(bad)


@pytest.mark.parametrize("name", RECEIVES)
async def test_receives_data_that_waits_and_data_that_comes_later(name: str) -> None:
    with stdlib_pair() as (one, other):
        other.sendall(b"data")
        _, sender = one.recvfrom(4)

    def expected(data: bytes) -> Any:
        result = result_of(name, data)
        return (result[0], sender) if name.startswith("recvfrom") else result

    receive = RECEIVES[name]
    counted = Counted()
    with socket_pair() as (sock, other):
        assert not sock.is_readable()
        other.sendall(b"waiting")
        await trio.lowlevel.wait_readable(sock)
        assert sock.is_readable()
        assert await sock.recv(2) == b"wa"
        assert await receive(sock) == expected(b"iting")
        assert not sock.is_readable()
        assert (counted.immediate, counted.pended) == (2, 0)
        later = await receive_when(True, lambda: receive(sock), lambda: other.sendall(b"later"))
        assert later == expected(b"later")
        await push_back(sock, other, b"pushed back")
        assert sock.is_readable()
        assert await receive(sock) == expected(b"pushed back")
        other.close()
        for _ in range(2):
            assert await receive(sock) == expected(b"")
    assert counted.pended >= 1
    assert counted.bytes == 23
    assert counted.failed == counted.received_despite_cancel == 0
    # Each is one overlapped call, whether data waits or not.
    receives = counted.immediate + counted.pended
    assert counted.overlapped == counted.wsarecv_calls == (receives if on_windows else 0)
    assert counted.overlapped_sockets == on_windows
    assert counted.readiness_sockets == (not on_windows)


async def test_a_second_receive_is_refused_while_one_waits() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            first = Call(nursery, sock.recv, 100)
            await wait_all_tasks_blocked()
            for second in STREAM_RECEIVES.values():
                with pytest.raises(trio.BusyResourceError):
                    await second(sock)
            with pytest.raises(trio.BusyResourceError):
                await sock.recv(100, socket.MSG_PEEK)
            assert await sock.send(b"sending is not refused") == 22
            other.sendall(b"data")
        assert first.value == b"data"


@pytest.mark.parametrize("name", STREAM_RECEIVES)
async def test_a_reset_is_the_error_that_python_raises(peer: HostilePeer, name: str) -> None:
    counted = Counted()
    async with peer.connect() as stream:
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, STREAM_RECEIVES[name], stream.socket)
            await wait_all_tasks_blocked()
            await peer.tell(stream, "reset")
        error: BaseException | None = receiver.error
        if name.startswith("receive_"):  # of a stream
            assert isinstance(error, trio.BrokenResourceError)
            error = error.__cause__
        assert isinstance(error, ConnectionResetError)
        if on_windows:
            assert winerror(error) == 10054
            with pytest.raises(ConnectionResetError) as known:
                raise OSError(None, error.strerror, None, 10054)
            assert str(error) == str(known.value)
    assert counted.failed == 1


@pytest.mark.real_windows(wine=(10,))
async def test_a_reset_before_the_receive_is_the_same_error(peer: HostilePeer) -> None:
    async with peer.connect("reset") as stream:
        await trio.lowlevel.wait_readable(stream.socket)
        counted = Counted()
        with pytest.raises(ConnectionResetError) as caught:
            await stream.socket.recv(100)
        assert winerror(caught.value) == 10054
        assert (counted.failed, counted.pended) == (1, 0)
        await wait_all_tasks_blocked()  # a packet that nobody waits for would end the run


def test_an_accepted_connection_is_of_this_class_and_is_not_lost_to_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept: Any = socket.socket._accept  # type: ignore[attr-defined]
    accepted: list[tuple[trio_wsarecv.Socket, Any]] = []

    def interrupted_accept(sock: socket.socket) -> tuple[int, Any]:
        handle, address = accept(sock)
        if sock is listener.stdlib:  # and not Trio's own wake-up socket on Windows
            signal.raise_signal(signal.SIGINT)
        return handle, address

    async def main() -> None:
        accepted.append(await listener.accept())
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(socket.socket, "_accept", interrupted_accept)
    listener = trio_wsarecv.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
    with listener, socket.create_connection(listener.getsockname()) as client:
        with pytest.raises(KeyboardInterrupt):
            trio.run(main)
        ((sock, address),) = accepted
        with sock:
            assert type(sock) is trio_wsarecv.Socket
            assert sock.getpeername() == address == client.getsockname()
