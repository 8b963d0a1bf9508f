"""Datagrams: each is received once, whole or truncated, with its sender, also in batches."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.datagrams import (
    WITH_ADDRESS,
    WITHOUT_FLAGS,
    Method,
    every,
)
from tests.peers import pattern
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Simulation
from tests.simulation.sockets import SocketOverSimulation
from tests.winsock.test_parse import ADDRESSES
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .receives import (
    both_engines,
    complete,
    datagrams_for,
    every_choice,
    receive_when,
    value_of,
    when,
)
from .test_messages import PKTINFO, PKTINFO_PARSED, TTL, TTL_PARSED


def send(sock: SocketOverSimulation, *datagrams: bytes | NtStatus) -> None:
    """Have datagrams and ICMP messages arrive."""
    for each in datagrams:
        if isinstance(each, NtStatus):
            sock.peer.send_error(each)
        else:
            sock.peer.send(each, SENDER)


@every_choice("late_iosb", "inline_iosb", "too_long_pends")
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


@pytest.mark.parametrize(("sockaddr", "address"), ADDRESSES.values(), ids=ADDRESSES)
@every
async def test_the_address_is_complete_for_every_family_and_when_a_receive_is_repeated(
    simulation: Simulation, made_here: bool, receive: Method, sockaddr: bytes, address: Any
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    expected = (b"data", address if receive in WITH_ADDRESS else None, False)
    sock.peer.send(b"data", sockaddr)
    assert await value_of(simulation, receive, sock, 10) == expected
    call = await simulation.begin(receive, sock, 60_000)
    for status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
        (request,) = sock.peer.requests
        assert request.capacity == 60_000 + 65_536
        sock.peer.end(status)
        await simulation.step()
    sock.peer.send(b"data", sockaddr)
    await simulation.step()
    assert call.value == expected


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


@pytest.mark.parametrize(
    ("method", "argument", "nothing"),
    [("recvfrom", 0, (b"", None)), ("recvfrom_into", bytearray(), (0, None))],
)
async def test_a_receive_without_room_takes_a_datagram(
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
        arrives = partial(send, sock, what)
        call = await receive_when(simulation, pending, arrives, receive, sock, 100)
        if isinstance(what, bytes):
            assert call.value.data == what
        else:
            assert winerror(call.error) == ERRORS[status][pending]


# Many datagrams at a time: in order, and nothing of them is lost.

many = pytest.mark.parametrize("method", ["recvfrom_many", "recvmsg_many"])


def data_of(batch: list[Any]) -> list[bytes]:
    return [each[0] for each in batch]


@both_engines
@when
async def test_each_datagram_has_its_sender_and_says_whether_it_was_truncated(
    simulation: Simulation, pending: bool, engine: str
) -> None:
    other = SENDER[:2] + b"\x00\x07" + SENDER[4:]
    sent = [(4, SENDER), (5, other), (0, b""), (2000, SENDER), (4, SENDER), (3, other)]
    addresses = {SENDER: SENDER_ADDRESS, other: (SENDER_ADDRESS[0], 7), b"": None}
    sock = datagrams_for(simulation, engine)

    def arrive() -> None:
        for size, sender in sent:
            sock.peer.send(b"x" * size, sender)

    call = await receive_when(simulation, pending, arrive, sock.recvfrom_many, 9, 4)
    assert call.value == [(b"x" * min(size, 4), addresses[sender]) for size, sender in sent]
    for datagram, (size, sender) in zip(call.value, sent, strict=True):
        assert datagram.data == b"x" * min(size, 4)
        assert datagram.address == addresses[sender]
        assert datagram.truncated is (size > 4)


@pytest.mark.parametrize("overflows", [True, False])
@both_engines
@when
async def test_each_message_has_its_ancillary_data_and_flags(
    simulation: Simulation, pending: bool, engine: str, overflows: bool
) -> None:
    simulation.behave(short_control_overflows=overflows)
    sock = datagrams_for(simulation, engine)
    much = PKTINFO * 40

    def arrive() -> None:
        for data, control in ((b"one", PKTINFO), (b"longer", TTL), (b"two", b""), (b"end", much)):
            sock.peer.send(data, SENDER, control)

    call = await receive_when(simulation, pending, arrive, sock.recvmsg_many, 9, 4, 100)
    *batch, (data, ancillary, flags, _) = call.value
    assert batch == [
        (b"one", [PKTINFO_PARSED], 0, SENDER_ADDRESS),
        (b"long", [TTL_PARSED], MsgFlag.MSG_TRUNC, SENDER_ADDRESS),
        (b"two", [], 0, SENDER_ADDRESS),
    ]
    assert (data, flags) == (b"end", MsgFlag.MSG_CTRUNC)
    assert set(map(repr, ancillary)) <= {repr(PKTINFO_PARSED)}


@both_engines
async def test_no_flag_of_one_datagram_goes_into_the_receive_of_the_next(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    simulation.behave(message_faults=True)  # so that WSARecvFrom is called
    flags_in = []
    receive_from = simulation.ws2_32.WSARecvFrom

    def leaving_flags(
        s: int, buffers: Any, count: int, received: Any, flags: Any, *rest: Any
    ) -> int:
        flags_in.append(flags[0])
        result = receive_from(s, buffers, count, received, flags, *rest)
        flags[0] = MsgFlag.MSG_PARTIAL
        return result

    monkeypatch.setattr(simulation.ws2_32, "WSARecvFrom", leaving_flags)
    sock = datagrams_for(simulation, engine)
    send(sock, b"too long", b"fits", b"too long")
    batch = await value_of(simulation, sock.recvmsg_many, 9, 4)
    assert batch[1:] == [
        (b"fits", [], 0, SENDER_ADDRESS),
        (b"too ", [], MsgFlag.MSG_TRUNC, SENDER_ADDRESS),
    ]
    assert flags_in == [0] * 4


@both_engines
@when
@many
async def test_an_error_after_the_first_ends_the_batch_and_comes_with_the_next_call(
    simulation: Simulation, method: str, pending: bool, engine: str
) -> None:
    sock = datagrams_for(simulation, engine)
    receive = getattr(sock, method)
    arrive = partial(send, sock, b"1", b"2", b"3", NtStatus.PORT_UNREACHABLE, b"4")
    call = await receive_when(simulation, pending, arrive, receive, 2, 10)
    assert data_of(call.value) == [b"1", b"2"]
    assert data_of(await value_of(simulation, receive, 9, 10)) == [b"3"]
    with pytest.raises(ConnectionResetError) as caught:
        await receive(9, 10)
    assert winerror(caught.value) == WinsockError.WSAECONNRESET
    assert data_of(await value_of(simulation, receive, 9, 10)) == [b"4"]


@many
async def test_an_error_that_came_with_the_first_ends_the_batch(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    receive = getattr(sock, method)
    call = await simulation.begin(receive, 9, 10)
    sock.peer.end(NtStatus.PORT_UNREACHABLE, b"one")
    send(sock, b"two")
    await simulation.step()
    assert data_of(call.value) == [b"one"]
    failed = await complete(simulation, receive, 9, 10)
    assert winerror(failed.error) == WinsockError.WSAECONNRESET
    assert data_of(await value_of(simulation, receive, 9, 10)) == [b"two"]
