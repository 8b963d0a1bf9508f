"""The address of the sender of a datagram."""

from __future__ import annotations

import itertools
import socket
from contextlib import ExitStack
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


def link_local() -> Any:
    """Return a link-local address of this machine; skip the test if there is none."""
    for each in itertools.chain(*psutil.net_if_addrs().values()):
        if each.family == socket.AF_INET6 and each.address.startswith("fe80:"):
            host = (each.address, 0)
            info = socket.getaddrinfo(*host, socket.AF_INET6, socket.SOCK_DGRAM)
            address: Any = info[0][4]
            if address[3]:
                return address
    pytest.skip("no link-local address here")


@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_the_scope_of_a_link_local_address_is_that_of_the_standard_library(
    receive: Method,
) -> None:
    address = link_local()
    one, sender = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
    with trio_wsarecv.from_stdlib_socket(one) as sock, sender:
        for each in (one, sender):
            each.bind(address)
        send_twice(sender, b"data", sock.getsockname())
        expected = await trio.socket.from_stdlib_socket(one).recvfrom(100)
        assert await receive(sock, 100) == (*expected, False)
        assert expected[1][3]


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
