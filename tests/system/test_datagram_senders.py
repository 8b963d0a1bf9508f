"""The address of the sender of a datagram."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import psutil
import pytest
import trio

import trio_wsarecv
from tests.datagrams import (
    METHODS,
    WITH_ADDRESS,
    Method,
    Pair,
    bound,
    families,
    has_ipv6,
    receive_when,
    when,
)


def send_twice(sender: socket.socket, data: bytes, address: Any) -> None:
    for _ in range(2):
        sender.sendto(data, address)


@families
@when
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_the_sender_is_that_of_the_standard_library(
    family: socket.AddressFamily, receive: Method, pending: bool
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound(family)) as sock, ExitStack() as stack:
        senders = [stack.enter_context(bound(family)) for _ in range(3)]
        for i in (0, 1, 1, 2, 0):
            received = await receive_when(
                pending,
                lambda: receive(sock, 100),
                partial(send_twice, senders[i], b"%d" % i, sock.getsockname()),
            )
            expected = sock.stdlib.recvfrom(100)
            assert received == (*expected, False)
            assert received.address == senders[i].getsockname()
            assert list(map(type, received.address)) == list(map(type, expected[1]))


def link_local() -> list[Any]:
    """Return the link-local addresses of this machine."""
    hosts = [each.address for some in psutil.net_if_addrs().values() for each in some]
    found = []
    for host in (*hosts, socket.gethostname()):
        with suppress(socket.gaierror):
            info = socket.getaddrinfo(host, 0, socket.AF_INET6, socket.SOCK_DGRAM)
            found += [address for *_, address in info if address[3:] not in ((), (0,))]
    return found


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_the_scope_of_a_link_local_address_is_that_of_the_standard_library(
    receive: Method,
) -> None:
    with ExitStack() as stack:
        for address in link_local():
            one, two = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
            sock = stack.enter_context(trio_wsarecv.from_stdlib_socket(one))
            sender = stack.enter_context(two)
            for each in (one, two):
                each.bind(address)
            for _ in range(2):
                sender.sendto(b"data", sock.getsockname())
            expected = await trio.socket.from_stdlib_socket(sock.stdlib).recvfrom(100)
            assert await receive(sock, 100) == (*expected, False)
            assert expected[1][3]
            return
    pytest.skip("no link-local address here")


async def test_a_connected_socket_receives_from_its_peer_only(pair: Pair) -> None:
    with bound() as stranger:
        await pair.sock.connect(pair.sender.getsockname())
        for receive in METHODS:
            stranger.sendto(b"from a stranger", pair.sock.getsockname())
            pair.send(b"from the peer")
            received = await receive(pair.sock, 100)
            assert received.data == b"from the peer"
            if receive in WITH_ADDRESS:
                assert received.address == pair.sender.getsockname()
