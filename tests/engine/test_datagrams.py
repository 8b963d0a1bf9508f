"""Datagrams: each is received once, whole or truncated, with its sender."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import pytest

from tests.datagrams import (
    WITH_ADDRESS,
    WITHOUT_FLAGS,
    Method,
    every,
    scatter,
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


async def test_truncated_datagrams_do_not_disturb_one_another(simulation: Simulation) -> None:
    # The rest of each goes to one area, which nobody reads.
    simulation.behave(prompt=False)
    sockets = [simulation.datagrams() for _ in range(10)]
    calls = [simulation.call(scatter, sock, 10) for sock in sockets]
    await simulation.run()
    for number, sock in enumerate(sockets):
        sock.peer.send(b"%010d" % number + bytes(60_000))
    await simulation.step()
    assert [call.value for call in calls] == [
        (b"%010d" % number, None, True) for number in range(10)
    ]


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


@pytest.mark.parametrize("method", ["recv", "recvfrom", "recvmsg"])
async def test_no_more_memory_is_allocated_than_a_datagram_can_fill(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(getattr(sock, method), 1 << 20)
    (request,) = sock.peer.requests
    assert request.buffers[0][1] == 65536
    sock.peer.send(b"data", SENDER)
    await simulation.step()
    assert call.succeeded


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
    receive = getattr(sock, method)
    for _ in range(2):
        sock.peer.send(b"data")
        call = await complete(simulation, receive, argument)
        assert winerror(call.error) == WinsockError.WSAEMSGSIZE
        sock.peer.send(b"")
        assert (await complete(simulation, receive, argument)).value == nothing
    assert not sock.peer.waiting


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


@every
async def test_part_of_a_message_is_no_error(simulation: Simulation, receive: Method) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock, 10)
    sock.peer.end(NtStatus.RECEIVE_PARTIAL, b"part")
    await simulation.step()
    assert call.value == (b"part", None, False)


@every
async def test_a_receive_on_an_unbound_socket_fails(
    simulation: Simulation, made_here: bool, receive: Method
) -> None:
    sock = simulation.datagrams(is_bound=False, made_here=made_here)
    call = await simulation.begin(receive, sock, 100)
    assert winerror(call.error) == WinsockError.WSAEINVAL


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
@pytest.mark.parametrize("late", [False, True])
async def test_a_receive_fails_after_shutdown_or_can_be_cancelled(
    simulation: Simulation, made_here: bool, late: bool, how: int
) -> None:
    simulation.behave(late_udp_shutdown=late)
    sock = simulation.datagrams(made_here=made_here)
    waits = late and how == socket.SHUT_RDWR
    call = await simulation.begin(sock.recv, 5)
    sock.shutdown(socket.SHUT_WR)
    await simulation.step()
    assert not call.done
    sock.shutdown(how)
    await simulation.step()
    assert call.done is not waits
    if waits:
        call.scope.cancel()
        await simulation.step()
        assert call.cancelled
    else:
        assert winerror(call.error) == WinsockError.WSAESHUTDOWN
    again = await complete(simulation, sock.recv, 5)
    assert winerror(again.error) == WinsockError.WSAESHUTDOWN


async def test_a_socket_is_readable_only_of_what_no_pending_receive_takes(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    call = await simulation.begin(sock.recv, 5)
    sock.peer.send(b"data", SENDER)
    assert not sock.is_readable()
    sock.peer.send(b"more", SENDER)
    assert sock.is_readable()
    await simulation.step()
    assert call.value == b"data"
    assert (await complete(simulation, sock.recv, 5)).value == b"more"
    sock.shutdown(socket.SHUT_RD)
    assert not sock.is_readable()
