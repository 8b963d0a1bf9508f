"""Datagrams: with their sender, with room for all of them, each received once."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest

import trio_wsarecv
from tests.datagrams import (
    WITH_ADDRESS,
    WITHOUT_FLAGS,
    Method,
    every,
    recv,
    recv_into,
    scatter,
    when,
)
from tests.peers import pattern
from tests.receiving import SENDER, winerror
from tests.simulation import Simulation
from tests.simulation.behaviour import InlineIosb, TooLong
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .cancelling import cancel_at_random

ADDRESSES = {
    "IPv4": (struct.pack("<H", 2) + b"\x1f\x90\x7f\0\0\x01" + bytes(8), ("127.0.0.1", 8080)),
    "IPv6": (
        struct.pack("<H", 23) + b"\x1f\x90" + bytes(19) + b"\x01" + bytes(4),
        ("::1", 8080, 0, 0),
    ),
    "IPv6 link": (
        struct.pack("<H", 23)
        + b"\x1f\x90\x00\x0a\xbc\xde"
        + bytes.fromhex("fe800000000000000000000000000001")
        + b"\x07\x00\x01\x00",
        ("fe80::1", 8080, 0xABCDE, 0x10007),
    ),
    "none": (b"", None),
    "another family": (b"\x22\x00" + bytes(range(14)), (0x22, bytes(range(14)))),
}


@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_a_receive_that_is_repeated_tells_the_sender(
    simulation: Simulation, receive: Method
) -> None:
    sockaddr, address = ADDRESSES["IPv6 link"]
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock, 10)
    sock.peer.end(NtStatus.CANCELLED)  # by others
    await simulation.step()
    sock.peer.send(b"data", sockaddr)
    await simulation.step()
    assert call.value == (b"data", address, False)


@pytest.mark.parametrize(("sockaddr", "expected"), ADDRESSES.values(), ids=ADDRESSES)
@when
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_scope_and_flow_are_part_of_the_address(
    simulation: Simulation, receive: Method, pending: bool, sockaddr: bytes, expected: Any
) -> None:
    sock = simulation.datagrams()
    if not pending:
        sock.peer.send(b"data", sockaddr)
    call = await simulation.begin(receive, sock, 10)
    if pending:
        sock.peer.send(b"data", sockaddr)
    await simulation.step()
    assert call.value == (b"data", expected, False)


@when
@every
async def test_a_datagram_is_truncated_wherever_the_data_goes(
    simulation: Simulation, receive: Method, pending: bool
) -> None:
    sock = simulation.datagrams()
    for _ in range(2):
        if not pending:
            sock.peer.send(b"0123456789")
        call = await simulation.begin(receive, sock, 4)
        if pending:
            sock.peer.send(b"0123456789")
        await simulation.step()
        if receive in WITHOUT_FLAGS:
            assert winerror(call.error) == WinsockError.WSAEMSGSIZE
            assert call.error.partial == b"0123"  # type: ignore[attr-defined]
        else:
            assert call.value.data == b"0123"
        sock.peer.send(b"next")
        call = simulation.call(receive, sock, 4)
        await simulation.step()
        assert call.value.data == b"next"


@pytest.mark.parametrize("seed", range(2))
@every
async def test_datagrams_are_not_lost_whatever_comes_of_cancelling(
    receive: Method, seed: int
) -> None:
    async def receive_one(sock: trio_wsarecv.Socket) -> list[bytes]:
        return [(await receive(sock, 100)).data]

    await cancel_at_random(seed, receive_one)


@when
@every
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (NtStatus.PORT_UNREACHABLE, WinsockError.WSAECONNRESET),
        (NtStatus.HOST_UNREACHABLE, WinsockError.WSAEHOSTUNREACH),
    ],
)
async def test_each_icmp_error_is_told_once_in_its_turn(
    simulation: Simulation,
    receive: Method,
    pending: bool,
    status: NtStatus,
    code: WinsockError,
) -> None:
    sock = simulation.datagrams()
    for what in (b"one", status, status, b"", status, b"three"):
        if not pending:
            sock.peer.send_error(what) if isinstance(what, NtStatus) else sock.peer.send(what)
        call = await simulation.begin(receive, sock, 100)
        if pending:
            sock.peer.send_error(what) if isinstance(what, NtStatus) else sock.peer.send(what)
        await simulation.step()
        if isinstance(what, NtStatus):
            assert winerror(call.error) == code
        else:
            assert call.value.data == what


@when
@every
async def test_the_end_of_a_connection_of_messages_is_an_error(
    simulation: Simulation, receive: Method, pending: bool
) -> None:
    # A message of no bytes is a message there.
    sock = simulation.datagrams()
    sock.peer.send(b"")
    call = simulation.call(receive, sock, 100)
    await simulation.step()
    assert call.value.data == b""
    if not pending:
        sock.peer.send_error(NtStatus.GRACEFUL_DISCONNECT)
    call = await simulation.begin(receive, sock, 100)
    if pending:
        sock.peer.send_error(NtStatus.GRACEFUL_DISCONNECT)
    await simulation.step()
    assert winerror(call.error) == WinsockError.WSAEDISCON


@every
async def test_an_error_that_had_to_wait_comes_with_the_next_receive(
    simulation: Simulation, receive: Method
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.PORT_UNREACHABLE, b"data")
    await simulation.step()
    assert call.value == b"data"
    simulation.deliver_automatically()
    sock.peer.send(b"more")
    with pytest.raises(ConnectionResetError):
        await receive(sock, 100)
    assert (await receive(sock, 100)).data == b"more"


@when
@pytest.mark.parametrize("nbytes", [1, 1024, 1025, 3000, 65507])
async def test_a_datagram_is_received_whole_however_quiet_the_socket_was(
    simulation: Simulation, nbytes: int, pending: bool
) -> None:
    sock = simulation.datagrams()
    for _ in range(2):
        if not pending:
            sock.peer.send(pattern(nbytes))
        call = await simulation.begin(sock.recv, 65536)
        if pending:
            sock.peer.send(pattern(nbytes))
        await simulation.step()
        assert call.value == pattern(nbytes)


@pytest.mark.parametrize("too_long", TooLong)
@when
@every
async def test_there_is_room_for_the_largest_datagram_so_none_is_reported_as_too_long(
    simulation: Simulation, receive: Method, pending: bool, too_long: TooLong
) -> None:
    # What Windows makes of a datagram that does not fit differs from call to call.
    simulation.behave(too_long=too_long, overflow_iosb=InlineIosb.LEFT_PENDING)
    sock = simulation.datagrams()
    if not pending:
        sock.peer.send(pattern(65507))
    call = await simulation.begin(receive, sock, 4)
    if pending:
        assert sock.peer.requests[0].capacity >= 65507
        sock.peer.send(pattern(65507))
    await simulation.step()
    if receive in WITHOUT_FLAGS:
        assert winerror(call.error) == WinsockError.WSAEMSGSIZE
        assert call.error.partial == pattern(4)  # type: ignore[attr-defined]
    else:
        assert call.value.data == pattern(4)


@every
async def test_a_receive_that_is_repeated_has_as_much_room_as_before(
    simulation: Simulation, receive: Method
) -> None:
    sock = simulation.datagrams()
    call = simulation.call(receive, sock, 60_000)
    for status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.capacity == 60_000 + 65_536
        sock.peer.end(status)
        await simulation.step()
    sock.peer.send(pattern(60_000))
    await simulation.step()
    assert call.value.data == pattern(60_000)


async def test_datagrams_that_do_not_fit_do_not_disturb_one_another(
    simulation: Simulation,
) -> None:
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


async def test_memory_is_as_large_as_what_is_asked_for_and_not_much_larger(
    simulation: Simulation,
) -> None:
    def most() -> int:
        return max(block.size for block in simulation.kernel.memory.blocks.values())

    simulation.deliver_automatically()
    sock = simulation.datagrams()
    for size, expected in (
        *((60_000, 60_000), (50_000, 60_000), (60_000, 60_000)),
        *((2000, 2000), (2001, 2001), (60_000, 60_000)),
    ):
        sock.peer.send(b"data")
        assert await sock.recv(size) == b"data"
        assert most() == expected


@pytest.mark.parametrize(
    ("receive", "argument", "nothing"),
    [("recvfrom", 0, (b"", None)), ("recvfrom_into", bytearray(), (0, None))],
)
async def test_a_receive_of_nothing_takes_a_datagram_as_any_other(
    simulation: Simulation, receive: str, argument: Any, nothing: Any
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    for _ in range(2):
        sock.peer.send(b"data")
        with pytest.raises(OSError, match=r".") as caught:
            await getattr(sock, receive)(argument)
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
        sock.peer.send(b"")
        assert await getattr(sock, receive)(argument) == nothing
    assert not sock.peer.waiting


@pytest.mark.parametrize("method", ["recv", "recvfrom", "recvmsg"])
async def test_no_more_room_is_made_than_a_datagram_can_fill(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(getattr(sock, method), 1 << 20)
    (request,) = sock.peer.requests
    assert request.buffers[0][1] == 65536
    sock.peer.send(b"data", SENDER)
    await simulation.step()
    assert call.succeeded


@pytest.mark.parametrize("method", ["recv_into", "recvfrom_into"])
async def test_a_part_of_a_message_is_no_error(simulation: Simulation, method: str) -> None:
    sock = simulation.datagrams()
    buffer = bytearray(10)
    call = await simulation.begin(getattr(sock, method), buffer)
    sock.peer.end(NtStatus.RECEIVE_PARTIAL, b"part")
    await simulation.step()
    assert call.succeeded
    assert buffer == b"part" + bytes(6)


@pytest.mark.parametrize("ifs_handles", [True, False], ids=["overlapped", "readiness"])
@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])
async def test_whatever_call_comes_before_the_data_is_where_it_is_looked_for(
    simulation: Simulation, is_stream: bool, ifs_handles: bool
) -> None:
    sock = simulation.stream() if is_stream else simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles
    simulation.deliver_automatically()
    sizes = list(itertools.product((8, 300, 1500), repeat=3))
    number = 0
    for methods in itertools.product((recv, recv_into, scatter), repeat=3):
        for method, size in zip(methods * len(sizes), itertools.chain(*sizes), strict=True):
            data = pattern(5000)[number % 4000 :][: min(size, 1000)]
            number += 7
            sock.peer.send(data)
            assert (await method(sock, size)).data == data
