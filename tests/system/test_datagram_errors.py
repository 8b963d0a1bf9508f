"""Errors of sockets for datagrams: nobody listens at the destination, or they have no address."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import pytest

import trio_wsarecv
from tests.datagrams import Method, Pair, bound, every, receive_when, when
from tests.receiving import on_windows, winerror
from tools.windows import SYSTEM, WINE
from trio_wsarecv import WinsockError


def nobody() -> Any:
    """Return an address where nobody listens."""
    with bound() as sock:
        return sock.getsockname()


@when
@every
async def test_a_connected_socket_raises_once_that_nobody_listens(
    receive: Method, pending: bool
) -> None:
    if WINE and not pending:
        pytest.skip(f"{SYSTEM} reports it only to the receive after the next")
    with trio_wsarecv.from_stdlib_socket(bound()) as sock:
        address = nobody()
        await sock.connect(address)
        for _ in range(1 if WINE else 2):
            # Windows says "reset", Linux and Wine say "refused".
            with pytest.raises((ConnectionResetError, ConnectionRefusedError)):
                await receive_when(
                    pending, lambda: receive(sock, 100), lambda: sock.stdlib.send(b"?")
                )
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(address)
            # After it has reported an error, Wine wakes no receive that waits, nor plain Trio's.
            received = await receive_when(
                pending and not WINE,
                lambda: receive(sock, 100),
                lambda: other.sendto(b"here I am", sock.getsockname()),
            )
            assert received.data == b"here I am"


@every
async def test_an_unconnected_socket_stays_usable_when_nobody_listens(
    pair: Pair, receive: Method
) -> None:
    # Whether it gets an error at all depends on the system.
    for _ in range(3):
        pair.sock.stdlib.sendto(b"?", nobody())
    for data in (b"one", b"", b"three"):
        pair.send(data)
        for _ in range(3):
            try:
                received = await receive(pair.sock, 100)
                break
            except ConnectionResetError:
                assert on_windows
        else:
            received = await receive(pair.sock, 100)
        assert received.data == data


async def test_connreset_can_be_switched_on_every_system(pair: Pair) -> None:
    for enabled in (False, True, False):
        pair.sock.set_udp_connreset(enabled)
        pair.send(b"data")
        assert await pair.sock.recv(10) == b"data"
    pair.sock.close()
    if on_windows:
        with pytest.raises(OSError, match=r".") as caught:
            pair.sock.set_udp_connreset(True)
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK


@pytest.mark.real_windows
@when
@every
async def test_an_unconnected_socket_raises_that_nobody_listens_unless_switched_off(
    pair: Pair, receive: Method, pending: bool
) -> None:
    send = partial(pair.sock.stdlib.sendto, b"?", nobody())
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await receive_when(pending, lambda: receive(pair.sock, 100), send)
    pair.sock.set_udp_connreset(False)
    for data in (b"one", b"two"):
        send()
        received = await receive_when(
            pending, lambda: receive(pair.sock, 100), partial(pair.send, data)
        )
        assert received.data == data


@pytest.mark.real_windows
@every
async def test_a_socket_without_an_address_cannot_receive(receive: Method) -> None:
    with trio_wsarecv.from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM)) as sock:
        with pytest.raises(OSError, match=r".") as caught:
            await receive(sock, 100)
        assert winerror(caught.value) == WinsockError.WSAEINVAL
