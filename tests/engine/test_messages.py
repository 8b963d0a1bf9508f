"""Messages: a datagram with its sender, its control messages and its flags."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trio_wsarecv
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import ShortControl
from tests.simulation.request import Request, Result
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock.calls import ffi
from trio_wsarecv._winsock.codes import NtStatus

Receive = Callable[..., Awaitable[tuple[bytes, Any, int, Any]]]

POINTER: int = ffi.sizeof("uintptr_t")


async def recvmsg(
    sock: trio_wsarecv.Socket, size: int, control_size: int = 0
) -> tuple[bytes, Any, int, Any]:
    return await sock.recvmsg(size, control_size)


async def recvmsg_into(
    sock: trio_wsarecv.Socket, size: int, control_size: int = 0
) -> tuple[bytes, Any, int, Any]:
    buffers = [bytearray(b"." * part) for part in (size // 2, 0, size - size // 2)]
    nbytes, *rest = await sock.recvmsg_into(buffers, control_size)
    data = b"".join(buffers)
    assert not data[nbytes:].strip(b".")
    return data[:nbytes], rest[0], rest[1], rest[2]


async def recvmsg_many(
    sock: trio_wsarecv.Socket, size: int, control_size: int = 0
) -> tuple[bytes, Any, int, Any]:
    (message,) = await sock.recvmsg_many(1, size, control_size)
    return message


both = pytest.mark.parametrize("receive", [recvmsg, recvmsg_into])
when = pytest.mark.parametrize("pending", [False, True])
short = pytest.mark.parametrize("short_control", ShortControl)


def cmsg(level: int, kind: int, data: bytes) -> bytes:
    """Return a control message as Windows writes it."""
    size = POINTER + 8 + len(data)
    header = size.to_bytes(POINTER, "little") + struct.pack("<ii", level, kind)
    return (header + data).ljust(-(-size // POINTER) * POINTER, b"\xee")


PKTINFO = cmsg(0, 19, b"\x7f\0\0\x02" + b"\x01\0\0\0")
TTL = cmsg(0, 4, b"\x40\0\0\0")
TOS = cmsg(0, 3, b"\x02")
PKTINFO_PARSED, TTL_PARSED, TOS_PARSED = (
    (0, 19, b"\x7f\0\0\x02\x01\0\0\0"),
    (0, 4, b"\x40\0\0\0"),
    (0, 3, b"\x02"),
)


async def receive_when(
    simulation: Simulation, pending: bool, arrives: tuple[bytes, ...], *arguments: Any
) -> Any:
    """Return what a receive gives, before which or during which a datagram arrives."""
    receive, sock, *_ = arguments
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.send(*arrives)
        call = Call(nursery, receive, *arguments[1:])
        await simulation.run()
        if pending:
            sock.peer.send(*arrives)
        await simulation.step()
        return call.value


@when
@both
async def test_a_message_has_its_control_messages_and_its_sender(
    simulation: Simulation, receive: Receive, pending: bool
) -> None:
    sock = simulation.datagrams()
    # What is incomplete at the end is left out.
    for control, expected in (
        (b"", []),
        (PKTINFO, [PKTINFO_PARSED]),
        (TTL + TOS + PKTINFO[:-POINTER], [TTL_PARSED, TOS_PARSED]),
        (TOS + TTL, [TOS_PARSED, TTL_PARSED]),
    ):
        message = b"data", SENDER, control
        result = await receive_when(simulation, pending, message, receive, sock, 10, 200)
        assert result == (b"data", expected, 0, SENDER_ADDRESS)


@short
@when
@both
@pytest.mark.parametrize("cut", ["nothing", "data", "control", "both"])
async def test_flags_say_what_was_truncated(
    simulation: Simulation, receive: Receive, pending: bool, cut: str, short_control: ShortControl
) -> None:
    simulation.behave(short_control=short_control)
    sock = simulation.datagrams()
    size = 4 if cut in ("data", "both") else 10
    control_size = len(PKTINFO) - (1 if cut in ("control", "both") else 0)
    message = b"0123456789", SENDER, PKTINFO
    result = await receive_when(simulation, pending, message, receive, sock, size, control_size)
    received, ancdata, flags, address = result
    assert received == b"0123456789"[:size]
    assert ancdata == ([] if cut in ("control", "both") else [PKTINFO_PARSED])
    assert address == SENDER_ADDRESS
    assert flags == {
        "nothing": 0,
        "data": MsgFlag.MSG_TRUNC,
        "control": MsgFlag.MSG_CTRUNC,
        "both": MsgFlag.MSG_TRUNC | MsgFlag.MSG_CTRUNC,
    }.get(cut)
    assert type(flags) is int


@when
@both
async def test_without_room_there_are_no_control_messages(
    simulation: Simulation, receive: Receive, pending: bool
) -> None:
    sock = simulation.datagrams()
    message = b"data", SENDER, PKTINFO
    result = await receive_when(simulation, pending, message, receive, sock, 10)
    assert result == (b"data", [], MsgFlag.MSG_CTRUNC, SENDER_ADDRESS)


@pytest.mark.parametrize("receive", [recvmsg, recvmsg_into, recvmsg_many])
async def test_the_last_control_message_needs_room_for_no_more_than_its_data(
    simulation: Simulation, receive: Receive
) -> None:
    # So it is on POSIX: CMSG_LEN is enough, CMSG_SPACE is for those that others follow.
    sock = simulation.datagrams()
    message = b"data", SENDER, TTL + TOS
    end = len(TTL) + POINTER + 8 + 1  # of the type of service, a byte
    for room, ancdata, flags in (
        (len(TTL + TOS), [TTL_PARSED, TOS_PARSED], 0),
        (end, [TTL_PARSED, TOS_PARSED], 0),
        (end - 1, [TTL_PARSED], MsgFlag.MSG_CTRUNC),
        (POINTER + 8 + 4, [TTL_PARSED], MsgFlag.MSG_CTRUNC),
        (POINTER + 8 + 3, [], MsgFlag.MSG_CTRUNC),
    ):
        result = await receive_when(simulation, False, message, receive, sock, 10, room)
        assert result == (b"data", ancdata, flags, SENDER_ADDRESS)


@short
@when
@both
@pytest.mark.parametrize("room", [20, 600, 2000])
async def test_more_control_messages_than_the_system_has_fit_or_are_truncated(
    simulation: Simulation, receive: Receive, pending: bool, room: int, short_control: ShortControl
) -> None:
    simulation.behave(short_control=short_control)
    sock = simulation.datagrams()
    message = b"data", SENDER, PKTINFO * 40
    result = await receive_when(simulation, pending, message, receive, sock, 10, room)
    count = min(room // len(PKTINFO), 40)
    flags = MsgFlag.MSG_CTRUNC if count < 40 else 0
    assert result == (b"data", [PKTINFO_PARSED] * count, flags, SENDER_ADDRESS)


@both
async def test_there_is_always_room_for_what_windows_can_be_asked_for(
    simulation: Simulation, receive: Receive
) -> None:
    # So the unclear case of control data that does not fit hardly ever comes up.
    sock = simulation.datagrams()
    for room in (0, 10, 1000):
        call = await simulation.begin(receive, sock, 10, room)
        (request,) = sock.peer.requests
        assert request.control_size >= max(room, 512)
        sock.peer.send(b"data", SENDER)
        await simulation.step()
        assert call.value == (b"data", [], 0, SENDER_ADDRESS)


@both
async def test_room_for_control_messages_differs_from_receive_to_receive(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    message = b"data", SENDER, PKTINFO
    for room in (1000, 0, 100, 2000, 5, len(PKTINFO)):
        _, ancdata, flags, _ = await receive_when(
            simulation, False, message, receive, sock, 10, room
        )
        assert len(ancdata) == (room >= len(PKTINFO))
        assert flags == (0 if ancdata else MsgFlag.MSG_CTRUNC)


async def test_much_room_for_control_messages_is_given_back_when_little_is_asked_for(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    rooms = [(65536, 65536), (0, 65536), (65537, 65537), (0, 4096), (160_000, 160_000)]
    for asked, room in (*rooms, (10_000, 160_000), (9_999, 9_999)):
        call = await simulation.begin(recvmsg, sock, 10, asked)
        (request,) = sock.peer.requests
        assert request.control_size == room
        sock.peer.send(b"data", SENDER)
        await simulation.step()
        assert call.value == (b"data", [], 0, SENDER_ADDRESS)


@pytest.mark.parametrize("method", ["recvfrom", "recvmsg"])
async def test_a_receive_that_is_repeated_has_room_for_sender_and_control_messages(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    sizes = (10, 100) if method == "recvmsg" else (10,)
    call = await simulation.begin(getattr(sock, method), *sizes)
    # The abort leaves lengths of 0 where the lengths of the room stood.
    sock.peer.end(NtStatus.CANCELLED)
    await simulation.step()
    assert not call.done
    sock.peer.send(b"data", SENDER, PKTINFO)
    await simulation.step()
    if method == "recvmsg":
        assert call.value == (b"data", [PKTINFO_PARSED], 0, SENDER_ADDRESS)
    else:
        assert call.value == (b"data", SENDER_ADDRESS)


@pytest.mark.parametrize("receive", [recvmsg, recvmsg_into, recvmsg_many])
async def test_where_a_driver_breaks_messages_there_is_everything_but_ancillary_data(
    simulation: Simulation, receive: Receive
) -> None:
    simulation.behave(message_faults=True)
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.send(b"data", SENDER, PKTINFO)
    with pytest.raises(OSError, match=r".") as caught:
        await receive(sock, 10, 100)
    assert winerror(caught.value) == WinsockError.WSAEFAULT
    for data in (b"data", b"more", b"rest of it, too long"):
        assert await receive(sock, 10) == (
            *(data[:10], []),
            *(MsgFlag.MSG_TRUNC if len(data) > 10 else 0, SENDER_ADDRESS),
        )
        sock.peer.send(b"more" if data == b"data" else b"rest of it, too long", SENDER)
    with pytest.raises(OSError, match=r".") as caught:
        await receive(sock, 10, 100)
    assert winerror(caught.value) == WinsockError.WSAEFAULT


async def test_a_broken_function_is_not_called_again_on_sockets_of_its_kind(
    simulation: Simulation,
) -> None:
    simulation.behave(message_faults=True)
    simulation.deliver_automatically()
    one, two = simulation.datagrams(), simulation.datagrams()
    one.peer.send(b"data", SENDER)
    assert await one.recvmsg(10) == (b"data", [], 0, SENDER_ADDRESS)
    simulation.behave(message_faults=False)
    for sock in (one, two):
        sock.peer.send(b"data", SENDER, PKTINFO)
        # WSARecvMsg would say that there was no room for the control message.
        assert await sock.recvmsg(10) == (b"data", [], 0, SENDER_ADDRESS)
    for family, kind in (
        (socket.AF_INET6, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_RAW),
        (socket.AF_INET, socket.SOCK_DGRAM),
    ):
        sock = simulation.datagrams(family=family)
        sock.stdlib.type = kind  # type: ignore[misc]
        sock.peer.send(b"data", SENDER, PKTINFO)
        is_broken = (family, kind) == (socket.AF_INET, socket.SOCK_DGRAM)
        flags = 0 if is_broken else MsgFlag.MSG_CTRUNC
        assert await sock.recvmsg(10) == (b"data", [], flags, SENDER_ADDRESS)


async def test_another_error_of_a_message_is_the_programs(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.refusals.append(WinsockError.WSAENETDOWN)
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recvmsg(10)
    assert winerror(caught.value) == WinsockError.WSAENETDOWN
    sock.peer.send(b"data", SENDER, PKTINFO)
    assert await sock.recvmsg(10) == (b"data", [], MsgFlag.MSG_CTRUNC, SENDER_ADDRESS)


@both
async def test_messages_and_plain_receives_take_turns(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    message = b"data", SENDER, PKTINFO
    for _ in range(3):
        result = await receive_when(simulation, True, message, receive, sock, 10, 100)
        assert result == (b"data", [PKTINFO_PARSED], 0, SENDER_ADDRESS)
        result = await receive_when(simulation, False, message, lambda s: s.recvfrom(10), sock)
        assert result == (b"data", SENDER_ADDRESS)


async def test_a_receive_without_buffers_leaves_nothing_behind(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    for data in (b"dropped", b"data"):
        sock.peer.send(data, SENDER)
    assert await sock.recvmsg_into([]) == (0, [], MsgFlag.MSG_TRUNC, SENDER_ADDRESS)
    assert await sock.recvmsg(10) == (b"data", [], 0, SENDER_ADDRESS)


async def test_flags_of_messages_are_told_and_no_others(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_message = Request._write_message

    def write_message_and_flag(request: Request, result: Result) -> None:
        write_message(request, result)
        ffi.cast("WSAMSG *", request.message).dwFlags = flag

    monkeypatch.setattr(Request, "_write_message", write_message_and_flag)
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    told = MsgFlag.MSG_BCAST | MsgFlag.MSG_MCAST | MsgFlag.MSG_TRUNC | MsgFlag.MSG_CTRUNC
    for flag in MsgFlag:
        sock.peer.send(b"data", SENDER)
        _, _, flags, _ = await sock.recvmsg(10, 100)
        assert flags == flag & told


# A stream has no messages: it gives bytes, and refuses the flags that `wsarecv` refuses.


async def test_a_message_of_a_stream_may_take_several_receives(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recvmsg, 6, 0, MsgFlag.MSG_WAITALL)
    sock.peer.send(b"abcd")
    await simulation.step()
    sock.peer.send(b"efgh")
    await simulation.step()
    assert call.value == (b"abcdef", [], 0, None)
    assert sock.peer.waiting == b"gh"


@pytest.mark.parametrize("left", [b"abcd", b"abcdefgh"])
async def test_a_message_of_a_stream_waits_for_what_is_missing_behind_bytes_pushed_back(
    simulation: Simulation, left: bytes
) -> None:
    sock = simulation.stream()
    sock.receiver.pushed_back.add(left)
    sock.peer.send(b"abcdefgh"[len(left) :])
    simulation.deliver_automatically()
    assert await sock.recvmsg(6, 0, MsgFlag.MSG_WAITALL) == (b"abcdef", [], 0, None)
    assert await sock.recv(6) == b"gh"


async def test_a_message_of_a_stream_with_flags_that_there_are_not_is_refused(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recvmsg(4, 0, 0x4)
    assert winerror(caught.value) == WinsockError.WSAEOPNOTSUPP
    assert sock.peer.waiting == b"data"
