"""`install` and `patch_trio`: Trio's own functions make sockets of this package."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import trio

import trio_wsarecv
from tests.peers import Counted, stdlib_pair
from tests.receiving import on_windows
from trio_wsarecv import _install

with socket.socket() as _sample:
    stock = type(trio.socket.from_stdlib_socket(_sample))
expected = trio_wsarecv.Socket if on_windows else stock


def sample_type() -> type:
    with socket.socket() as sample:
        return type(trio.socket.from_stdlib_socket(sample))


async def echo_through() -> list[type]:
    """Use Trio's own functions for TCP, and return the types of the sockets they made."""
    types = []

    async def echo(stream: trio.SocketStream) -> None:
        types.append(type(stream.socket))
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, echo, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
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


def test_install_changes_every_new_socket_of_one_run() -> None:
    async def main(install: bool) -> None:
        if install:
            trio_wsarecv.install()
        counted = Counted()
        with trio.fail_after(20), trio.socket.socket() as sock:
            types = [type(sock), *await echo_through()]
        assert types == [expected if install else stock] * 4
        assert counted.overlapped_sockets == (2 if install and on_windows else 0)
        assert bool(counted.wsarecv_calls) is (install and on_windows)

    for install in (True, False, True):
        trio.run(main, install)


def test_install_needs_a_run() -> None:
    with pytest.raises(RuntimeError) if on_windows else nullcontext():
        trio_wsarecv.install()


@pytest.mark.parametrize("value", ["0", "1"])
async def test_the_environment_turns_it_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_WSARECV", value)
    if value == "0":
        trio_wsarecv.patch_trio()
    assert sample_type() is stock
    trio_wsarecv.install()
    assert await echo_through() == [stock if value == "0" else expected] * 3


def test_an_unknown_value_is_logged_once_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    _install.turns_off.cache_clear()
    for value in ("0", "false", "No", " OFF "):
        assert _install.turns_off(value)
    for value in ("maybe", "maybe", "", "1", "True", "yes", "on"):
        assert not _install.turns_off(value)
    (record,) = caplog.records
    assert record.name == "trio_wsarecv"
    assert record.getMessage().startswith("TRIO_WSARECV=maybe is ignored: ")
    assert "\n" not in record.getMessage()


async def test_the_factory_can_be_set_by_the_program() -> None:
    factory = trio_wsarecv.SocketFactory()
    assert isinstance(factory, trio.abc.SocketFactory)
    trio.socket.set_custom_socket_factory(factory)
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP) as sock:
        assert type(sock) is trio_wsarecv.Socket
        expected_kind = (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        assert (sock.family, sock.type, sock.proto) == expected_kind
    assert await echo_through() == [trio_wsarecv.Socket] * 3


@pytest.fixture
def patched() -> Iterator[None]:
    trio_wsarecv.patch_trio()
    yield
    trio_wsarecv.unpatch_trio()
    assert sample_type() is stock


@pytest.mark.usefixtures("patched")
async def test_patch_trio_changes_every_new_socket() -> None:
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


def test_patching_can_be_repeated_and_undone_and_creates_no_socket() -> None:
    module = sys.modules["trio._socket"]
    names = ("_SocketType", "_socket_factory", "set_custom_socket_factory")
    before = [getattr(module, name) for name in names]
    counted = Counted()
    for _ in range(2):
        _install._patch(trio_wsarecv.Socket)
        assert module._socket_factory is not before[1]
    assert counted.sockets == 0
    with stdlib_pair() as (one, other):
        sock = trio.socket.from_stdlib_socket(one)
        for _ in range(2):
            _install._patch(stock)
            assert [getattr(module, name) for name in names] == before
            assert trio.socket.set_custom_socket_factory is before[2]
        assert sample_type() is stock
        assert type(sock) is trio_wsarecv.Socket
        other.sendall(b"hello")
        assert trio.run(sock.recv, 10) == b"hello"


@pytest.fixture
def patched_anywhere() -> Iterator[None]:
    """Trio patched as on Windows, on any system."""
    _install._patch(trio_wsarecv.Socket)
    yield
    _install._patch(stock)


class Factory(trio.abc.SocketFactory):
    """A program's own factory, which is false."""

    def __len__(self) -> int:
        return 0

    def socket(self, family: int = 0, type: int = 0, proto: int = 0) -> trio.socket.SocketType:
        return trio.socket.from_stdlib_socket(socket.socket())


def is_made_here() -> bool:
    """Tell whether a socket that Trio makes is known to be new."""
    sock: Any = trio.socket.socket()
    with sock:
        made_here: bool = sock.receiver.made_here
        return made_here


# As in a program that has imported it before the patch.
imported_before = trio.socket.set_custom_socket_factory


@pytest.mark.usefixtures("patched_anywhere")
def test_a_program_can_set_and_remove_its_own_factory_in_each_run() -> None:
    async def main() -> None:
        for set_custom in (imported_before, trio.socket.set_custom_socket_factory):
            assert is_made_here()
            theirs = Factory()
            previous = set_custom(theirs)
            assert set_custom is imported_before or previous is None
            assert not is_made_here()
            assert set_custom(None) is theirs
            assert is_made_here()
        assert set_custom(theirs) is None

    for _ in range(2):
        trio.run(main)


@pytest.mark.usefixtures("patched_anywhere")
async def test_a_socket_from_an_existing_handle_does_not_count_as_new() -> None:
    with trio.socket.socket(fileno=socket.socket().detach()) as sock:
        assert type(sock) is trio_wsarecv.Socket
        assert not sock.receiver.made_here


class Stranger(stock):  # type: ignore[misc,valid-type]
    pass


@pytest.mark.windows
@pytest.mark.parametrize("change", ["missing", "replaced", "unused", "no module", "no factory"])
def test_an_unknown_trio_is_not_patched(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
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
