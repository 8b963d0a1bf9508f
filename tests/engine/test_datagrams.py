"""Datagrams: each is received once, whole or truncated, with its sender."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.datagrams import (
    WITH_ADDRESS,
    WITHOUT_FLAGS,
    Method,
    every,
    when,
)
from tests.peers import pattern
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Simulation
from tests.winsock.test_parse import ADDRESSES
from trio_wsarecv import WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

from .arrivals import every_choice
from .receives import complete, receive_when


@every_choice("iosb", "inline_iosb", "too_long")
@when
@every
async def test_what_does_not_fit_is_truncated_and_never_reported_by_windows(
    simulation: Simulation, made_here: bool, receive: Method, pending: bool
) -> None:
    # Every operation has room for the largest datagram, so the choices of Windows do not matter.
    simulation.behave(overflow_iosb=simulation.behaviour.inline_iosb)
    sock = simulation.datagrams(made_here=made_here)
    address = SENDER_ADDRESS if receive in WITH_ADDRESS else None
    datagrams = (b"data", b"", b"01234", pattern(65507), b"next")
    for data in datagrams:
        arrives = partial(sock.peer.send, data, SENDER)
        call = await receive_when(simulation, pending, arrives, receive, sock, 4)
        if len(data) <= 4:
            assert call.value == (data, address, False)
        elif receive in WITHOUT_FLAGS:
            assert winerror(call.error) == WinsockError.WSAEMSGSIZE
            assert call.error.partial == data[:4]  # type: ignore[attr-defined]
        else:
            assert call.value[:2] == (data[:4], address)
    assert simulation.events.count("receive") == len(datagrams)


@pytest.mark.parametrize(("sockaddr", "expected"), ADDRESSES.values(), ids=ADDRESSES)
@when
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_the_address_is_complete_for_every_family(
    simulation: Simulation, receive: Method, pending: bool, sockaddr: bytes, expected: Any
) -> None:
    sock = simulation.datagrams()
    arrives = partial(sock.peer.send, b"data", sockaddr)
    call = await receive_when(simulation, pending, arrives, receive, sock, 10)
    assert call.value == (b"data", expected, False)


@every
async def test_a_repeated_receive_has_the_same_room_and_gives_the_sender(
    simulation: Simulation, made_here: bool, receive: Method
) -> None:
    sockaddr, address = ADDRESSES["IPv6 with a flow and a scope"]
    sock = simulation.datagrams(made_here=made_here)
    call = simulation.call(receive, sock, 60_000)
    for status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.capacity == 60_000 + 65_536
        sock.peer.end(status)
        await simulation.step()
    sock.peer.send(pattern(60_000), sockaddr)
    await simulation.step()
    expected = address if receive in WITH_ADDRESS else None
    assert call.value == (pattern(60_000), expected, False)


# Memory and room.


async def test_memory_is_as_large_as_what_is_asked_for_and_not_much_larger(
    simulation: Simulation,
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    for size, expected in (
        *((60_000, 60_000), (50_000, 60_000), (60_000, 60_000)),
        *((2000, 2000), (2001, 2001), (60_000, 60_000)),
        *((65_536, 65_536), (65_537, 65_536), (4096, 65_536), (4095, 4095)),
    ):
        sock.peer.send(b"data")
        assert await sock.recv(size) == b"data"
        blocks = simulation.kernel.memory.blocks.values()
        assert max(block.size for block in blocks) == expected


async def test_wsarecv_without_room_is_refused_and_takes_no_datagram(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(b"data")
    call = await complete(simulation, wsarecv, sock, [bytearray()])
    assert winerror(call.error) == WinsockError.WSAEINVAL
    assert sock.peer.waiting == [b"data"]


@pytest.mark.parametrize(
    ("method", "argument", "nothing"),
    [("recvfrom", 0, (b"", None)), ("recvfrom_into", bytearray(), (0, None))],
)
async def test_another_receive_without_room_takes_a_datagram(
    simulation: Simulation, method: str, argument: Any, nothing: Any
) -> None:
    sock = simulation.datagrams()
    sock.peer.send(b"data")
    call = await complete(simulation, getattr(sock, method), argument)
    assert winerror(call.error) == WinsockError.WSAEMSGSIZE
    sock.peer.send(b"")
    assert (await complete(simulation, getattr(sock, method), argument)).value == nothing


# Errors.

# By the status, the errors of a call that fails inline and of a receive that waits.
ERRORS = {
    NtStatus.PORT_UNREACHABLE: (WinsockError.WSAECONNRESET, WinsockError.WSAECONNRESET),
    NtStatus.HOST_UNREACHABLE: (WinsockError.WSAEHOSTUNREACH, WinsockError.WSAEHOSTUNREACH),
    NtStatus.HOPLIMIT_EXCEEDED: (WinsockError.WSAENETRESET, WinsockError.WSAECONNRESET),
    # The end of a connection of messages, where a message of no bytes is a message.
    NtStatus.GRACEFUL_DISCONNECT: (WinsockError.WSAEDISCON, WinsockError.WSAEDISCON),
}


@when
@every
@pytest.mark.parametrize("status", ERRORS)
async def test_each_error_is_raised_once_in_order(
    simulation: Simulation, made_here: bool, receive: Method, pending: bool, status: NtStatus
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    for what in (b"one", status, status, b"", status, b"three"):
        send = sock.peer.send if isinstance(what, bytes) else sock.peer.send_error
        call = await receive_when(simulation, pending, partial(send, what), receive, sock, 100)
        if isinstance(what, bytes):
            assert call.value.data == what
        else:
            assert winerror(call.error) == ERRORS[status][pending]


@every
async def test_an_error_that_comes_with_data_is_raised_by_the_next_receive(
    simulation: Simulation, receive: Method
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.PORT_UNREACHABLE, b"data")
    await simulation.step()
    assert call.value == b"data"
    sock.peer.send(b"more")
    failed = await complete(simulation, receive, sock, 100)
    assert winerror(failed.error) == WinsockError.WSAECONNRESET
    assert (await complete(simulation, receive, sock, 100)).value.data == b"more"
