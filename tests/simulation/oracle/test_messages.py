"""``WSARecvMsg``: a datagram with its control messages."""

from __future__ import annotations

import struct

import pytest

from tests.simulation.behaviour import ShortControl, TooLong
from tests.simulation.memory import real
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError
from trio_wsarecv._winsock.parse import parse_ancillary

from .calls import SENDER, UNTOUCHED, Native

PENDING = WinsockError.WSA_IO_PENDING
WSAEMSGSIZE = WinsockError.WSAEMSGSIZE
OVERFLOW = NtStatus.BUFFER_OVERFLOW
IPPROTO_IP, IPPROTO_IPV6 = 0, 41
IP_TOS, IP_TTL, IP_PKTINFO, IP_HOPLIMIT, IP_TCLASS = 3, 4, 19, 21, 39
IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS = 19, 21, 39


def cmsg(level: int, kind: int, data: bytes) -> bytes:
    header = struct.pack("@Nii", struct.calcsize("@Nii") + len(data), level, kind)
    alignment = struct.calcsize("@N")
    return (header + data).ljust(-(-len(header + data) // alignment) * alignment, b"\0")


PKTINFO = cmsg(IPPROTO_IP, IP_PKTINFO, bytes([127, 0, 0, 1, 1, 0, 0, 0]))


@pytest.mark.behaviour("22", "Wine sock.c test_ip_pktinfo")
def test_a_short_control_buffer_ends_a_pending_receive_with_the_whole_datagram(
    call: Native,
) -> None:
    sock = call.datagrams()
    receive = call.receive_message(sock, 10, control_size=1)
    assert receive.code == PENDING
    sock.peer.send(b"HELLO\0", SENDER, PKTINFO)
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 6)
    assert receive.message_flags == MsgFlag.MSG_CTRUNC
    assert receive.contents == [b"HELLO\0" + bytes(4)]


@pytest.mark.behaviour("22", "Wine 8, which reports success")
def test_a_short_control_buffer_may_be_told_by_the_flags_alone(call: Native) -> None:
    call.simulation.behaviour.short_control = ShortControl.SUCCESS
    sock = call.datagrams()
    receive = call.receive_message(sock, 10, control_size=1)
    sock.peer.send(b"HELLO\0", SENDER, PKTINFO)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 6)
    assert receive.message_flags == MsgFlag.MSG_CTRUNC


@pytest.mark.parametrize("too_long", TooLong)
@pytest.mark.behaviour("22", "Wine sock.c test_ip_pktinfo, the APC (todo_wine ERROR_IO_PENDING)")
def test_a_short_control_buffer_for_a_waiting_datagram(call: Native, too_long: TooLong) -> None:
    call.simulation.behaviour.too_long = too_long
    sock = call.datagrams()
    sock.peer.send(b"HELLO\0", SENDER, PKTINFO)
    receive = call.receive_message(sock, 10, control_size=1)
    assert receive.code == (PENDING if too_long is TooLong.PENDS else WSAEMSGSIZE)
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 6)
    assert receive.message_flags == MsgFlag.MSG_CTRUNC


@pytest.mark.behaviour("23", "Wine sock.c test_ip_pktinfo (todo_wine for the size)")
def test_a_short_control_buffer_without_overlapped(call: Native) -> None:
    sock = call.datagrams()
    sock.peer.send(b"HELLO\0", SENDER, PKTINFO)
    receive = call.receive_message(sock, 10, control_size=1, overlapped=False)
    assert receive.code == WSAEMSGSIZE
    assert receive.received == 6
    assert receive.message_flags == MsgFlag.MSG_CTRUNC
    assert receive.contents == [b"HELLO\0" + bytes(4)]


@pytest.mark.behaviour("22", "the documentation of WSAMSG")
def test_both_may_be_cut_off(call: Native) -> None:
    sock = call.datagrams()
    receive = call.receive_message(sock, 4, control_size=1)
    sock.peer.send(b"HELLO\0", SENDER, PKTINFO)
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 4)
    assert receive.message_flags == MsgFlag.MSG_CTRUNC | MsgFlag.MSG_TRUNC


@pytest.mark.parametrize("overlapped", [True, False])
@pytest.mark.behaviour("24", "Wine sock.c test_ip_pktinfo")
def test_no_control_buffer_is_needed_where_no_control_data_comes(
    call: Native, overlapped: bool
) -> None:
    sock = call.datagrams()
    sock.peer.send(b"HELLO\0", SENDER)
    receive = call.receive_message(sock, 10, overlapped=overlapped)
    assert (receive.code, receive.received) == (0, 6)
    assert receive.message.Control.len == 0
    assert receive.message_flags == 0


MESSAGES = [
    (IPPROTO_IP, IP_PKTINFO, bytes(8)),
    (IPPROTO_IP, IP_TTL, struct.pack("<i", 64)),
    (IPPROTO_IP, IP_TOS, struct.pack("<i", 0)),
    (IPPROTO_IPV6, IPV6_PKTINFO, bytes(20)),
    (IPPROTO_IPV6, IPV6_HOPLIMIT, struct.pack("<i", 64)),
    (IPPROTO_IPV6, IPV6_TCLASS, struct.pack("<i", 0)),
    # What Windows 10 before 1703 says of IPv4.
    (IPPROTO_IP, IP_HOPLIMIT, struct.pack("<i", 64)),
    (IPPROTO_IP, IP_TCLASS, struct.pack("<i", 0)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=str)
@pytest.mark.behaviour("25", "Wine sock.c test_ip_pktinfo, test_ipv4_cmsg, test_ipv6_cmsg")
def test_a_control_message_has_a_header_that_counts_itself_and_the_data(
    call: Native, message: tuple[int, int, bytes]
) -> None:
    control = cmsg(*message)
    sock = call.datagrams()
    receive = call.receive_message(sock, 10, control_size=100)
    assert receive.message.Control.len == 100
    sock.peer.send(b"HELLO\0", SENDER, control)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 6)
    assert receive.control == control
    level, kind, data = message
    assert parse_ancillary(receive.control) == [(level, kind, data)]
    assert receive.message.namelen == len(SENDER)


@pytest.mark.behaviour("26", "the documentation of WSARecvMsg: for datagram and raw sockets")
def test_a_connection_has_no_messages(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive_message(sock, 5)
    assert receive.code == WinsockError.WSAEOPNOTSUPP
    assert sock.peer.waiting == b"data!"
    assert call.dequeue() is None


@pytest.mark.behaviour("26", "Wine sock.c test_ip_pktinfo")
def test_a_message_is_needed(call: Native) -> None:
    sock = call.datagrams()
    ws2_32 = call.simulation.ws2_32
    assert ws2_32.WSARecvMsg(sock.fileno(), real.NULL, real.NULL, real.NULL, real.NULL) == -1
    assert ws2_32.WSAGetLastError() == WinsockError.WSAEFAULT


@pytest.mark.parametrize("overlapped", [True, False])
@pytest.mark.behaviour(
    "26", "AdguardForWindows #6219, amnezia-client #3048: filter drivers fail it"
)
def test_a_filter_driver_may_fail_every_message(call: Native, overlapped: bool) -> None:
    call.simulation.behaviour.message_faults = True
    sock = call.datagrams()
    sock.peer.send(b"HELLO\0")
    receive = call.receive_message(sock, 10, overlapped=overlapped)
    assert receive.code == WinsockError.WSAEFAULT
    assert receive.iosb == (UNTOUCHED, UNTOUCHED)
    assert sock.peer.waiting == [b"HELLO\0"]
    assert call.dequeue() is None
