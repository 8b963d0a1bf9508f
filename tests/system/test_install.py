"""Making Trio's own functions give our sockets: for a run, and for the process."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Iterator
from functools import partial

import pytest
import trio
import trustme

import trio_wsarecv
from tests.peers import Counted, stdlib_pair
from trio_wsarecv import _install

on_windows = sys.platform == "win32"
with socket.socket() as _sample:
    stock = type(trio.socket.from_stdlib_socket(_sample))
expected = trio_wsarecv.Socket if on_windows else stock


@pytest.fixture
def patched() -> Iterator[None]:
    trio_wsarecv.patch_trio()
    yield
    trio_wsarecv.unpatch_trio()


async def echo_through() -> list[type]:
    """Use Trio's own functions for TCP; return what types of socket they made."""
    types = []

    async def echo(stream: trio.SocketStream) -> None:
        types.append(type(stream.socket))
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        types.append(type(listeners[0].socket))
        stream = await trio.open_tcp_stream(*listeners[0].socket.getsockname())
        async with stream:
            types.append(type(stream.socket))
            await stream.send_all(b"hello")
            assert await stream.receive_some(100) == b"hello"
            await stream.send_eof()
            assert await stream.receive_some(100) == b""
        nursery.cancel_scope.cancel()
    return types


async def test_installed_for_a_run_all_that_trio_makes_is_ours() -> None:
    trio_wsarecv.install()
    counted = Counted()
    with trio.socket.socket() as sock:
        assert type(sock) is expected
    assert await echo_through() == [expected] * 3
    assert bool(counted.wsarecv_calls) is on_windows
    assert counted.overlapped_sockets == (2 if on_windows else 0)


def test_installed_for_one_run_only() -> None:
    async def sock_type(install: bool) -> type:
        if install:
            trio_wsarecv.install()
        with trio.socket.socket() as sock:
            return type(sock)

    assert trio.run(sock_type, True) is expected
    assert trio.run(sock_type, False) is stock
    assert trio.run(sock_type, True) is expected


def test_installing_needs_a_run() -> None:
    if on_windows:
        with pytest.raises(RuntimeError):
            trio_wsarecv.install()
    else:
        trio_wsarecv.install()


@pytest.mark.parametrize("value", ["0", "false", "No", " OFF "])
async def test_turned_off_nothing_is_changed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_WSARECV", value)
    trio_wsarecv.install()
    trio_wsarecv.patch_trio()
    assert sample_type() is stock
    assert await echo_through() == [stock] * 3


@pytest.mark.parametrize("value", ["", "1", "True", "yes", "on", "maybe"])
async def test_no_other_value_turns_it_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_WSARECV", value)
    with trio.socket.socket() as sock:
        assert type(sock) is stock
    trio_wsarecv.install()
    with trio.socket.socket() as sock:
        assert type(sock) is expected


def test_an_unknown_value_is_a_warning_once_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    _install.turns_off.cache_clear()
    for value in ("maybe", "maybe", "", "1", "off"):
        assert _install.turns_off(value) is (value == "off")
    (record,) = caplog.records
    assert record.name == "trio_wsarecv"
    assert record.getMessage().startswith("TRIO_WSARECV=maybe is ignored: ")
    assert "\n" not in record.getMessage()


async def test_the_factory_is_one_of_trios() -> None:
    factory = trio_wsarecv.SocketFactory()
    assert isinstance(factory, trio.abc.SocketFactory)
    trio.socket.set_custom_socket_factory(factory)
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP) as sock:
        assert type(sock) is trio_wsarecv.Socket
        assert (sock.family, sock.type, sock.proto) == (
            socket.AF_INET,
            socket.SOCK_DGRAM,
            socket.IPPROTO_UDP,
        )
    assert await echo_through() == [trio_wsarecv.Socket] * 3


@pytest.mark.usefixtures("patched")
async def test_patched_everything_that_trio_makes_is_ours() -> None:
    counted = Counted()
    with trio.socket.socket() as sock:
        assert type(sock) is expected
    with stdlib_pair() as (one, _):
        assert type(trio.socket.from_stdlib_socket(one)) is expected
        with trio.socket.fromfd(one.fileno(), one.family, one.type) as copy:
            assert type(copy) is expected
        with trio.socket.from_stdlib_socket(one).dup() as copy:
            assert type(copy) is expected
        if sys.platform == "win32":
            with trio.socket.fromshare(one.share(os.getpid())) as copy:
                assert type(copy) is expected
    left, right = trio.socket.socketpair()
    with left, right:
        assert type(left) is type(right) is expected
        await left.send(b"hello")
        assert await right.recv(10) == b"hello"
    assert await echo_through() == [expected] * 3
    assert counted.overlapped_sockets == (3 if on_windows else 0)
    assert counted.readiness_sockets == 0


@pytest.mark.usefixtures("patched")
async def test_patched_tls_runs_over_our_sockets() -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_context)
    counted = Counted()
    message = os.urandom(200_000)

    async def echo(stream: trio.SSLStream[trio.SocketStream]) -> None:
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            partial(trio.serve_ssl_over_tcp, echo, 0, server_context, host="127.0.0.1")
        )
        port = listeners[0].transport_listener.socket.getsockname()[1]
        stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=client_context)
        async with stream:

            @nursery.start_soon
            async def send() -> None:
                await stream.send_all(message)

            received = bytearray()
            while len(received) < len(message):
                received += await stream.receive_some()
            assert received == message
        nursery.cancel_scope.cancel()
    assert bool(counted.wsarecv_calls) is on_windows
    assert counted.overlapped_sockets == (2 if on_windows else 0)


def sample_type() -> type:
    with socket.socket() as sample:
        return type(trio.socket.from_stdlib_socket(sample))


def test_patching_can_be_repeated_and_undone() -> None:
    for _ in range(2):
        for _ in range(2):
            trio_wsarecv.patch_trio()
            assert sample_type() is expected
        for _ in range(2):
            trio_wsarecv.unpatch_trio()
            assert sample_type() is stock


def test_patching_is_not_counted_as_a_socket() -> None:
    counted = Counted()
    trio_wsarecv.patch_trio()
    trio_wsarecv.unpatch_trio()
    assert counted.sockets == 0


def test_sockets_keep_their_type_when_the_patch_is_undone() -> None:
    trio_wsarecv.patch_trio()
    with stdlib_pair() as (one, other):
        sock = trio.socket.from_stdlib_socket(one)
        trio_wsarecv.unpatch_trio()

        async def main() -> None:
            other.sendall(b"hello")
            assert await sock.recv(10) == b"hello"

        trio.run(main)
        assert type(sock) is expected


@pytest.fixture
def patched_anywhere() -> Iterator[None]:
    """Trio as it is patched on Windows, on any system."""
    _install._patch(trio_wsarecv.Socket)
    yield
    _install._patch(stock)


class Factory(trio.abc.SocketFactory):
    """A program's own."""

    def socket(self, family: int = 0, type: int = 0, proto: int = 0) -> trio.socket.SocketType:
        return trio.socket.from_stdlib_socket(socket.socket())


@pytest.mark.usefixtures("patched_anywhere")
async def test_a_factory_of_the_programs_own_is_used_and_can_be_taken_back() -> None:
    with trio.socket.socket() as sock:
        assert sock.receiver.made_here  # type: ignore[attr-defined]
    theirs = Factory()
    assert trio.socket.set_custom_socket_factory(theirs) is None
    with trio.socket.socket() as sock:
        assert not sock.receiver.made_here  # type: ignore[attr-defined]
    assert trio.socket.set_custom_socket_factory(None) is theirs
    with trio.socket.socket() as sock:
        assert sock.receiver.made_here  # type: ignore[attr-defined]
    assert trio.socket.set_custom_socket_factory(None) is None
    with trio.socket.socket() as sock:
        assert sock.receiver.made_here  # type: ignore[attr-defined]


@pytest.mark.usefixtures("patched_anywhere")
def test_a_factory_of_the_programs_own_is_one_runs_alone() -> None:
    async def made_here(*, own: bool) -> bool:
        if own:
            trio.socket.set_custom_socket_factory(Factory())
        with trio.socket.socket() as sock:
            return sock.receiver.made_here  # type: ignore[attr-defined,no-any-return]

    for own in (False, True, False):
        assert trio.run(partial(made_here, own=own)) is not own


@pytest.mark.usefixtures("patched_anywhere")
async def test_what_is_given_a_handle_is_not_taken_for_new() -> None:
    with trio.socket.socket(fileno=socket.socket().detach()) as sock:
        assert type(sock) is trio_wsarecv.Socket
        assert not sock.receiver.made_here


def test_undone_the_patch_leaves_trio_as_it_was() -> None:
    module = sys.modules["trio._socket"]
    names = ("_SocketType", "_socket_factory", "set_custom_socket_factory")
    before = [getattr(module, name) for name in names]
    for _ in range(2):
        _install._patch(trio_wsarecv.Socket)
        assert module._socket_factory is not before[1]
    for _ in range(2):
        _install._patch(stock)
        assert [getattr(module, name) for name in names] == before
        assert trio.socket.set_custom_socket_factory is before[2]


class Stranger(stock):  # type: ignore[misc,valid-type]
    pass


@pytest.mark.windows
@pytest.mark.parametrize("change", ["missing", "replaced", "unused", "no module", "no factory"])
def test_another_trio_is_not_patched(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    module = sys.modules["trio._socket"]
    with monkeypatch.context() as patch:
        if change == "missing":
            patch.delattr(module, "_SocketType")
        elif change == "replaced":
            patch.setattr(module, "_SocketType", Stranger)
        elif change == "no factory":
            patch.delattr(module, "_socket_factory")
        elif change == "unused":
            patch.setattr(trio.socket, "from_stdlib_socket", stock)
        else:
            patch.delitem(sys.modules, "trio._socket")
        with pytest.raises(RuntimeError, match=rf"cannot patch trio {trio.__version__}"):
            trio_wsarecv.patch_trio()
        if change == "replaced":
            assert module._SocketType is Stranger
    assert sample_type() is stock
