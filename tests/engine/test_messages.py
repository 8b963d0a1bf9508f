"""Messages: a datagram with its sender, its control messages and its flags."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Simulation
from tests.simulation.request import Request, Result
from tests.winsock.test_parse import POINTER, cmsg
from trio_wsarecv import MsgFlag, Socket, WinsockError
from trio_wsarecv._winsock.calls import ffi

from .receives import every_choice, receive_when

Receive = Callable[..., Awaitable[tuple[bytes, Any, int, Any]]]

TRUNC, CTRUNC = MsgFlag.MSG_TRUNC, MsgFlag.MSG_CTRUNC


async def recvmsg_into(
    sock: Socket, size: int, control_size: int = 0, flags: int = 0
) -> tuple[bytes, Any, int, Any]:
    buffers = [bytearray(b"." * part) for part in (size // 2, 0, size - size // 2)]
    nbytes, *rest = await sock.recvmsg_into(buffers, control_size, flags)
    data = b"".join(buffers)
    assert not data[nbytes:].strip(b".")
    return data[:nbytes], rest[0], rest[1], rest[2]


async def recvmsg_many(
    sock: Socket, size: int, control_size: int = 0
) -> tuple[bytes, Any, int, Any]:
    (message,) = await sock.recvmsg_many(1, size, control_size)
    return message


every_message = pytest.mark.parametrize("receive", [Socket.recvmsg, recvmsg_into, recvmsg_many])

PKTINFO_PARSED, TTL_PARSED, TOS_PARSED = (
    (0, 19, b"\x7f\0\0\x02\x01\0\0\0"),
    (0, 4, b"\x40\0\0\0"),
    (0, 3, b"\x02"),
)
PKTINFO, TTL, TOS = (cmsg(*message) for message in (PKTINFO_PARSED, TTL_PARSED, TOS_PARSED))
HEADER = POINTER + 8
BOTH = [TTL_PARSED, TOS_PARSED]
TOS_END = len(TTL) + HEADER + 1  # without the padding
# More than all control messages that Windows can be asked for.
MANY = 250
LARGE = cmsg(0, 19, bytes(5000))

# The control data that arrives, the room for it, what is received, and whether that is flagged as
# truncated.
CONTROLS: dict[str, tuple[bytes, int, list[tuple[int, int, bytes]], bool]] = {
    "none": (b"", 100, [], False),
    "three": (PKTINFO + TTL + TOS, 1000, [PKTINFO_PARSED, *BOTH], False),
    "incomplete at the end": (TTL + TOS + PKTINFO[:-POINTER], 200, BOTH, False),
    "one byte missing": (PKTINFO, len(PKTINFO) - 1, [], True),
    # As on POSIX: CMSG_LEN is enough room for the last one, CMSG_SPACE is for the others.
    "all of two": (TTL + TOS, len(TTL + TOS), BOTH, False),
    "the padding missing": (TTL + TOS, TOS_END, BOTH, False),
    "the last byte missing": (TTL + TOS, TOS_END - 1, [TTL_PARSED], True),
    "the second missing": (TTL + TOS, HEADER + 4, [TTL_PARSED], True),
    "many": (PKTINFO * MANY, MANY * len(PKTINFO), [PKTINFO_PARSED] * MANY, False),
    "some of many": (PKTINFO * MANY, 25 * len(PKTINFO), [PKTINFO_PARSED] * 25, True),
    "a large one, with much room": (LARGE, 4500, [], True),
}


@every_choice("short_control_overflows", "too_long_pends")
@pytest.mark.parametrize("case", CONTROLS)
@every_message
async def test_flags_say_whether_data_or_control_messages_were_truncated(
    simulation: Simulation, made_here: bool, receive: Receive, case: str
) -> None:
    control, room, expected, truncated = CONTROLS[case]
    sock = simulation.datagrams(made_here=made_here)
    for pending, size in itertools.product((False, True), (10, 4)):
        arrives = partial(sock.peer.send, b"0123456789", SENDER, control)
        call = await receive_when(simulation, pending, arrives, receive, sock, size, room)
        flags = (TRUNC if size == 4 else 0) | (CTRUNC if truncated else 0)
        assert call.value == (b"0123456789"[:size], expected, flags, SENDER_ADDRESS)
        assert type(call.value[2]) is int


@every_choice("short_control_overflows")
@pytest.mark.parametrize("control", [PKTINFO, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("room", [0, 1])
async def test_a_peek_flags_control_messages_as_truncated(
    simulation: Simulation, made_here: bool, control: bytes, room: int
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(b"HELLO", SENDER, control)
    peeked = await sock.recvmsg(10, room, socket.MSG_PEEK)
    assert peeked == (b"HELLO", [], CTRUNC, SENDER_ADDRESS)
    assert sock.peer.waiting == [b"HELLO"]


@pytest.mark.parametrize("receive", [Socket.recvmsg, recvmsg_into])
async def test_the_kernel_always_has_room_for_all_control_messages_but_not_much_more(
    simulation: Simulation, receive: Receive
) -> None:
    # So the unclear case of control data that does not fit hardly ever comes up.
    sock = simulation.datagrams()
    rooms = [(0, 4096), (1000, 4096), (65536, 65536), (len(PKTINFO), 65536), (65537, 65537)]
    for asked, room in (*rooms, (0, 4096), (160_000, 160_000), (10_000, 160_000), (9_999, 9_999)):
        call = await simulation.begin(receive, sock, 10, asked)
        (request,) = sock.peer.requests
        assert request.control_size == room
        sock.peer.send(b"data", SENDER, PKTINFO)
        await simulation.step()
        came, flags = ([PKTINFO_PARSED], 0) if asked else ([], CTRUNC)
        assert call.value == (b"data", came, flags, SENDER_ADDRESS)


# Where WSARecvMsg fails.


@every_message
async def test_where_a_driver_breaks_messages_only_ancillary_data_is_missing(
    simulation: Simulation, made_here: bool, receive: Receive
) -> None:
    simulation.behave(message_faults=True)
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    for data in (b"data", b"more", b"rest of it, too long"):
        sock.peer.refusals.append(WinsockError.WSAENETDOWN)  # which is not due to WSARecvMsg
        sock.peer.send(data, SENDER, PKTINFO)
        for control_size, code in ((0, WinsockError.WSAENETDOWN), (100, WinsockError.WSAEFAULT)):
            with pytest.raises(OSError, match=r".") as caught:
                await receive(sock, 10, control_size)
            assert winerror(caught.value) == code
        flags = TRUNC if len(data) > 10 else 0
        assert await receive(sock, 10) == (data[:10], [], flags, SENDER_ADDRESS)
    sock.peer.send(b"data", SENDER, PKTINFO)
    assert await sock.recvfrom(10) == (b"data", SENDER_ADDRESS)


async def test_a_broken_function_is_not_called_again_on_sockets_of_its_kind(
    simulation: Simulation,
) -> None:
    simulation.behave(message_faults=True)
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.send(b"data", SENDER)
    assert await sock.recvmsg(10) == (b"data", [], 0, SENDER_ADDRESS)
    simulation.behave(message_faults=False)
    for family, kind, flags in (
        (socket.AF_INET, socket.SOCK_DGRAM, 0),
        # WSARecvMsg says that there was no room for the control message.
        (socket.AF_INET6, socket.SOCK_DGRAM, CTRUNC),
        (socket.AF_INET, socket.SOCK_RAW, CTRUNC),
    ):
        sock = simulation.datagrams(family=family)
        sock.stdlib.type = kind  # type: ignore[misc]
        sock.peer.send(b"data", SENDER, PKTINFO)
        assert await sock.recvmsg(10) == (b"data", [], flags, SENDER_ADDRESS)


async def test_a_receive_without_buffers_drops_one_datagram(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.send(b"data", SENDER)
    assert await sock.recvmsg_into([]) == (0, [], TRUNC, SENDER_ADDRESS)
    assert sock.peer.waiting == []


async def test_only_flags_of_messages_come_out(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_message = Request._write_message

    def write_message_and_flag(request: Request, result: Result) -> None:
        write_message(request, result)
        ffi.cast("WSAMSG *", request.message).dwFlags = flag

    monkeypatch.setattr(Request, "_write_message", write_message_and_flag)
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    documented = MsgFlag.MSG_BCAST | MsgFlag.MSG_MCAST | TRUNC | CTRUNC
    for flag in MsgFlag:
        sock.peer.send(b"data", SENDER)
        _, _, flags, _ = await sock.recvmsg(10, 100)
        assert flags == flag & documented
