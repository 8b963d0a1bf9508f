"""Many datagrams at a time: what has arrived is taken in order, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import trio_wsarecv
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import ShortControl
from trio_wsarecv import MsgFlag, WinsockError, statistics
from trio_wsarecv._winsock.codes import NtStatus

from .cancelling import cancel_at_random
from .test_messages import PKTINFO, PKTINFO_PARSED, TTL, TTL_PARSED

Receive = Callable[[trio_wsarecv.Socket, int, int], Awaitable[list[bytes]]]


async def recvfrom_many(sock: trio_wsarecv.Socket, most: int, size: int) -> list[bytes]:
    return [data for data, _ in await sock.recvfrom_many(most, size)]


async def recvmsg_many(sock: trio_wsarecv.Socket, most: int, size: int) -> list[bytes]:
    return [data for data, *_ in await sock.recvmsg_many(most, size)]


both = pytest.mark.parametrize("receive", [recvfrom_many, recvmsg_many])
when = pytest.mark.parametrize("pending", [False, True])
everywhere = pytest.mark.parametrize("ifs_handles", [True, False], ids=["overlapped", "readiness"])


async def receive_when(
    simulation: Simulation, pending: bool, send: Callable[[], object], *arguments: Any
) -> Any:
    """Return what a receive gives, before which or during which something arrives."""
    async with simulation.nursery() as nursery:
        if not pending:
            send()
        call = Call(nursery, *arguments)
        await simulation.run()
        if pending:
            assert not call.done
            send()
        await simulation.step()
        return call.value


@everywhere
@when
@both
async def test_what_has_arrived_is_received_in_order_and_up_to_the_number(
    simulation: Simulation, receive: Receive, pending: bool, ifs_handles: bool
) -> None:
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles

    def send() -> None:
        for number in range(5):
            sock.peer.send(b"%d" % number)

    batch = await receive_when(simulation, pending, send, receive, sock, 3, 10)
    assert batch == [b"0", b"1", b"2"]
    batch = await receive_when(simulation, False, lambda: None, receive, sock, 3, 10)
    assert batch == [b"3", b"4"]


@when
async def test_each_datagram_has_its_sender(simulation: Simulation, pending: bool) -> None:
    sock = simulation.datagrams()
    others = SENDER[:2] + b"\x00\x07" + SENDER[4:]

    def send() -> None:
        for sender in (SENDER, others, b"", SENDER):
            sock.peer.send(b"data", sender)

    batch = await receive_when(simulation, pending, send, sock.recvfrom_many, 9, 10)
    senders = [SENDER_ADDRESS, (SENDER_ADDRESS[0], 7), None, SENDER_ADDRESS]
    assert batch == [(b"data", sender) for sender in senders]
    assert [datagram.address for datagram in batch] == senders
    assert {datagram.data for datagram in batch} == {b"data"}


@everywhere
@when
async def test_what_does_not_fit_is_marked(
    simulation: Simulation, pending: bool, ifs_handles: bool
) -> None:
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles
    sizes = (4, 5, 0, 2000, 4, 3)

    def send() -> None:
        for size in sizes:
            sock.peer.send(b"x" * size)

    batch = await receive_when(simulation, pending, send, sock.recvfrom_many, 9, 4)
    assert [data for data, _ in batch] == [b"x" * min(size, 4) for size in sizes]
    assert [datagram.truncated for datagram in batch] == [size > 4 for size in sizes]


@pytest.mark.parametrize("short_control", ShortControl)
@everywhere
@when
async def test_each_message_has_its_ancillary_data_and_flags(
    simulation: Simulation, pending: bool, ifs_handles: bool, short_control: ShortControl
) -> None:
    simulation.behave(short_control=short_control)
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles
    much = PKTINFO * 40

    def send() -> None:
        for data, control in ((b"one", PKTINFO), (b"longer", TTL), (b"two", b""), (b"end", much)):
            sock.peer.send(data, SENDER, control)

    batch = await receive_when(simulation, pending, send, sock.recvmsg_many, 9, 4, 100)
    assert batch[:3] == [
        (b"one", [PKTINFO_PARSED], 0, SENDER_ADDRESS),
        (b"long", [TTL_PARSED], MsgFlag.MSG_TRUNC, SENDER_ADDRESS),
        (b"two", [], 0, SENDER_ADDRESS),
    ]
    data, ancillary, flags, _ = batch[3]
    assert (data, flags) == (b"end", MsgFlag.MSG_CTRUNC)
    assert set(map(repr, ancillary)) <= {repr(PKTINFO_PARSED)}


@everywhere
async def test_no_flag_of_one_datagram_goes_into_the_receive_of_the_next(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, ifs_handles: bool
) -> None:
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
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles
    for data in (b"too long", b"fits", b"too long"):
        sock.peer.send(data)
    batch = await receive_when(simulation, False, lambda: None, sock.recvfrom_many, 9, 4)
    assert [datagram.truncated for datagram in batch] == [True, False, True]
    assert flags_in == [0] * 4


async def test_where_wsarecvmsg_fails_a_truncated_datagram_says_nothing_of_the_next(
    simulation: Simulation,
) -> None:
    simulation.behave(message_faults=True)
    sock = simulation.datagrams()
    for data in (b"too long", b"fits", b"too long", b"fits"):
        sock.peer.send(data)
    batch = await receive_when(simulation, False, lambda: None, sock.recvmsg_many, 9, 4)
    truncated = MsgFlag.MSG_TRUNC
    assert [flags for _, _, flags, _ in batch] == [truncated, 0, truncated, 0]


@everywhere
@when
@both
async def test_an_error_behind_the_first_ends_the_batch_and_comes_with_the_next_call(
    simulation: Simulation, receive: Receive, pending: bool, ifs_handles: bool
) -> None:
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles

    def send() -> None:
        sock.peer.send(b"one")
        sock.peer.send(b"two")
        sock.peer.send_error(NtStatus.PORT_UNREACHABLE)
        sock.peer.send(b"three")

    assert await receive_when(simulation, pending, send, receive, sock, 9, 10) == [b"one", b"two"]
    with pytest.raises(ConnectionResetError) as caught:
        await receive(sock, 9, 10)
    assert winerror(caught.value) == WinsockError.WSAECONNRESET
    batch = await receive_when(simulation, False, lambda: None, receive, sock, 9, 10)
    assert batch == [b"three"]


@both
async def test_an_error_that_came_with_the_first_ends_the_batch(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock, 9, 10)
    sock.peer.end(NtStatus.PORT_UNREACHABLE, b"one")
    sock.peer.send_error(NtStatus.HOST_UNREACHABLE)
    sock.peer.send(b"two")
    await simulation.step()
    assert call.value == [b"one"]
    for code in (WinsockError.WSAECONNRESET, WinsockError.WSAEHOSTUNREACH):
        call = simulation.call(receive, sock, 9, 10)
        await simulation.step()
        assert winerror(call.error) == code
    call = simulation.call(receive, sock, 9, 10)
    await simulation.step()
    assert call.value == [b"two"]


@both
async def test_an_error_before_the_first_is_raised_at_once(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    sock.peer.send_error(NtStatus.PORT_UNREACHABLE)
    sock.peer.send(b"data")
    with pytest.raises(ConnectionResetError):
        await receive(sock, 9, 10)
    batch = await receive_when(simulation, False, lambda: None, receive, sock, 9, 10)
    assert batch == [b"data"]


@both
async def test_a_socket_that_was_closed_meanwhile_is_not_received_on(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock, 9, 10)
    sock.peer.send(b"one")
    sock.peer.send(b"two")
    sock.close()
    await simulation.step()
    assert call.value == [b"one"] or isinstance(call.error, trio.ClosedResourceError)
    # Had the handle been used once more, the simulation would complain.


@both
async def test_a_batch_is_one_receive_and_as_many_calls_as_it_takes(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    for data in (b"data", b"data", b"data, too long", b"data"):
        sock.peer.send(data)
    before = statistics()
    await receive_when(simulation, False, lambda: None, receive, sock, 9, 4)
    after = statistics()
    assert after.overlapped - before.overlapped == 1
    assert after.wsarecv_calls - before.wsarecv_calls == 5  # the last finds nothing
    assert after.bytes - before.bytes == 16
    assert after.datagrams - before.datagrams == 4
    assert after.truncated - before.truncated == 1
    assert after.batches - before.batches == 1


@everywhere
@when
async def test_datagrams_are_counted_however_they_are_received(
    simulation: Simulation, pending: bool, ifs_handles: bool
) -> None:
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: sock.recv(4),
        lambda: sock.recvfrom_into(bytearray(4)),
        lambda: sock.recvmsg(4),
        lambda: sock.recvfrom_many(1, 4),
    ]
    before = statistics()
    for call in calls:
        await receive_when(simulation, pending, lambda: sock.peer.send(b"data"), call)
    sock.peer.send(b"too long")
    await sock.recvmsg(4, 0, MsgFlag.MSG_PEEK)  # takes nothing
    for call in calls[2:]:
        await receive_when(simulation, False, lambda: sock.peer.send(b"too long"), call)
    sock.peer.send(b"fits")
    await receive_when(simulation, False, lambda: None, calls[3])  # since one was there already
    await receive_when(simulation, False, lambda: None, calls[3])
    after = statistics()
    assert after.datagrams - before.datagrams == 8
    assert after.truncated - before.truncated == 3
    assert after.batches - before.batches == 4


@pytest.mark.parametrize("seed", range(8))
@both
async def test_nothing_is_lost_whatever_comes_of_cancelling(receive: Receive, seed: int) -> None:
    await cancel_at_random(seed, lambda sock: receive(sock, 3, 100))
