"""The handle of a `Socket`: accepted, duplicated, detached, and wrapped more than once."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, socket_pair, stdlib_pair

on_windows = sys.platform == "win32"


async def test_accepts_connections_of_its_own_kind() -> None:
    listener = trio_wsarecv.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
    counted = Counted()
    with listener, socket.socket() as client:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def accept() -> None:
                accepted, address = await listener.accept()
                with accepted:
                    # Accepting is no receiving.
                    assert counted.pended == counted.immediate == 0
                    assert type(accepted) is trio_wsarecv.Socket
                    assert address == client.getsockname()
                    assert await accepted.recv(10) == b"hello"

            await wait_all_tasks_blocked()
            client.connect(listener.getsockname())
            client.sendall(b"hello")


def test_an_interrupt_loses_no_connection_that_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept: Any = socket.socket._accept  # type: ignore[attr-defined]
    accepted: list[trio_wsarecv.Socket] = []

    def interrupted_accept(sock: socket.socket) -> tuple[int, Any]:
        handle, address = accept(sock)
        if sock is listener.stdlib:  # and not what Trio wakes itself by, on Windows
            signal.raise_signal(signal.SIGINT)
        return handle, address

    async def main() -> None:
        sock, _ = await listener.accept()
        accepted.append(sock)
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(socket.socket, "_accept", interrupted_accept)
    listener = trio_wsarecv.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
    with listener, socket.create_connection(listener.getsockname()) as client:
        with pytest.raises(KeyboardInterrupt):
            trio.run(main)
        with accepted[0]:
            assert accepted[0].getpeername() == client.getsockname()


async def test_a_duplicate_is_of_the_same_kind_and_received_on_by_readiness() -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"one two")
        assert await sock.recv(3) == b"one"
        counted = Counted()
        with sock.dup() as duplicate:
            assert type(duplicate) is trio_wsarecv.Socket
            assert duplicate.fileno() != sock.fileno()
            assert await duplicate.recv(10) == b" two"
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def receive() -> None:
                    assert await duplicate.recv(10) == b"three"

                await wait_all_tasks_blocked()
                other.sendall(b"three")
        assert counted.overlapped == 0
        assert counted.readiness_sockets == 1
        other.sendall(b"four")
        assert await sock.recv(10) == b"four"


async def test_a_handle_can_be_detached_unless_a_task_receives() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sock.recv, 10)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                sock.detach()
            assert sock.fileno() != -1
            other.sendall(b"data")
        with socket.socket(fileno=sock.detach()) as detached:
            assert sock.fileno() == -1
            detached.setblocking(True)
            other.sendall(b"more")
            assert detached.recv(10) == b"more"


async def test_wrappers_of_one_socket_share_what_is_known_of_it() -> None:
    with stdlib_pair() as (one, other):
        first, second = (trio_wsarecv.from_stdlib_socket(one) for _ in range(2))
        counted = Counted()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.recv, 10)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await second.recv(10)
            other.sendall(b"data")
        other.sendall(b"more")
        assert await second.recv(10) == b"more"
        assert counted.overlapped_sockets == on_windows
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio_wsarecv.SocketStream(first).receive_exactly, 10)
                other.sendall(b"half")
                await wait_all_tasks_blocked()
                scope.cancel()
        assert await second.recv(10) == b"half"


async def test_a_wrapper_that_is_dropped_leaves_the_socket_as_it_is() -> None:
    with stdlib_pair() as (one, other):
        for data in (b"first", b"second"):
            sock = trio_wsarecv.from_stdlib_socket(one)
            other.sendall(data)
            assert await sock.recv(10) == data
            del sock
            gc.collect()
