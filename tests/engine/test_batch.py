"""Many datagrams at a time: what has arrived is received in order, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import trio_wsarecv
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Simulation
from tests.simulation.behaviour import ShortControl
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .receives import both_engines, complete, datagrams_for, receive_when, value_of, when
from .test_messages import PKTINFO, PKTINFO_PARSED, TTL, TTL_PARSED

Receive = Callable[[trio_wsarecv.Socket, int, int], Awaitable[list[bytes]]]


async def recvfrom_many(sock: trio_wsarecv.Socket, most: int, size: int) -> list[bytes]:
    return [data for data, _ in await sock.recvfrom_many(most, size)]


async def recvmsg_many(sock: trio_wsarecv.Socket, most: int, size: int) -> list[bytes]:
    return [data for data, *_ in await sock.recvmsg_many(most, size)]


both = pytest.mark.parametrize("receive", [recvfrom_many, recvmsg_many])


def send(sock: SocketOverSimulation, *datagrams: bytes | NtStatus) -> None:
    """Have datagrams and ICMP messages arrive."""
    for each in datagrams:
        if isinstance(each, NtStatus):
            sock.peer.send_error(each)
        else:
            sock.peer.send(each, SENDER)


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


@pytest.mark.parametrize("short_control", ShortControl)
@both_engines
@when
async def test_each_message_has_its_ancillary_data_and_flags(
    simulation: Simulation, pending: bool, engine: str, short_control: ShortControl
) -> None:
    simulation.behave(short_control=short_control)
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
@both
async def test_an_error_after_the_first_ends_the_batch_and_comes_with_the_next_call(
    simulation: Simulation, receive: Receive, pending: bool, engine: str
) -> None:
    sock = datagrams_for(simulation, engine)
    arrive = partial(send, sock, b"1", b"2", b"3", NtStatus.PORT_UNREACHABLE, b"4")
    call = await receive_when(simulation, pending, arrive, receive, sock, 2, 10)
    assert call.value == [b"1", b"2"]
    assert await value_of(simulation, receive, sock, 9, 10) == [b"3"]
    with pytest.raises(ConnectionResetError) as caught:
        await receive(sock, 9, 10)
    assert winerror(caught.value) == WinsockError.WSAECONNRESET
    assert await value_of(simulation, receive, sock, 9, 10) == [b"4"]


@both
async def test_an_error_that_came_with_the_first_ends_the_batch(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock, 9, 10)
    sock.peer.end(NtStatus.PORT_UNREACHABLE, b"one")
    send(sock, b"two")
    await simulation.step()
    assert call.value == [b"one"]
    failed = await complete(simulation, receive, sock, 9, 10)
    assert winerror(failed.error) == WinsockError.WSAECONNRESET
    assert await value_of(simulation, receive, sock, 9, 10) == [b"two"]
