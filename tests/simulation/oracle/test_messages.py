"""``WSARecvMsg``: a datagram with its control messages."""

from __future__ import annotations

import struct

import pytest

from tests.simulation.memory import real
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError
from trio_wsarecv._winsock.parse import parse_ancillary

from .calls import DATA, SENDER, UNTOUCHED, Scenario, Steps, Winsock, scenarios

SUCCESS, OVERFLOW = NtStatus.SUCCESS, NtStatus.BUFFER_OVERFLOW
WSAEMSGSIZE, WSAEFAULT = WinsockError.WSAEMSGSIZE, WinsockError.WSAEFAULT
CTRUNC, TRUNC = MsgFlag.MSG_CTRUNC, MsgFlag.MSG_TRUNC
IPPROTO_IP, IPPROTO_IPV6 = 0, 41
IP_TOS, IP_TTL, IP_PKTINFO, IP_HOPLIMIT, IP_TCLASS = 3, 4, 19, 21, 39
IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS = 19, 21, 39


def cmsg(level: int, kind: int, data: bytes) -> bytes:
    header = struct.pack("@Nii", struct.calcsize("@Nii") + len(data), level, kind)
    alignment = struct.calcsize("@N")
    return (header + data).ljust(-(-len(header + data) // alignment) * alignment, b"\0")


PKTINFO = cmsg(IPPROTO_IP, IP_PKTINFO, bytes([127, 0, 0, 1, 1, 0, 0, 0]))
RECVMSG = "WSARecvMsg"

SCENARIOS: list[Scenario] = [
    ("22: a short control buffer ends a pending receive with the whole datagram",
     "Wine sock.c test_ip_pktinfo",
     lambda w: w.udp().pends(10, call=RECVMSG, control_size=1).peer("send", DATA, SENDER, PKTINFO)
     .completes(OVERFLOW, DATA).gives(message_flags=CTRUNC)),
    ("22: a short control buffer may show in the flags alone",
     "Wine 8, which reports success",
     lambda w: w.behaves(short_control_overflows=False).udp()
     .pends(10, call=RECVMSG, control_size=1).peer("send", DATA, SENDER, PKTINFO)
     .completes(SUCCESS, DATA).gives(message_flags=CTRUNC)),
    ("22: a short control buffer for a waiting datagram may be reported as pending",
     "Wine sock.c test_ip_pktinfo, the APC (todo_wine ERROR_IO_PENDING)",
     lambda w: w.udp().peer("send", DATA, SENDER, PKTINFO)
     .pends(10, call=RECVMSG, control_size=1)
     .completes(OVERFLOW, DATA).gives(message_flags=CTRUNC)),
    ("22: a short control buffer for a waiting datagram may fail the call",
     "Wine sock.c test_ip_pktinfo, the APC",
     lambda w: w.behaves(too_long_pends=False).udp().peer("send", DATA, SENDER, PKTINFO)
     .answers(WSAEMSGSIZE, 5, 10, call=RECVMSG, control_size=1)
     .completes(OVERFLOW, DATA).gives(message_flags=CTRUNC)),
    ("22: datagram and control messages may both be truncated",
     "the documentation of WSAMSG",
     lambda w: w.udp().pends(4, call=RECVMSG, control_size=1).peer("send", DATA, SENDER, PKTINFO)
     .completes(OVERFLOW, b"data").gives(message_flags=CTRUNC | TRUNC)),
    ("23: a short control buffer without overlapped fails the call, which has the datagram",
     "Wine sock.c test_ip_pktinfo (todo_wine for the size)",
     lambda w: w.udp().peer("send", DATA, SENDER, PKTINFO)
     .answers(WSAEMSGSIZE, 5, 10, call=RECVMSG, control_size=1, overlapped=False)
     .has(DATA).gives(message_flags=CTRUNC)),
    ("24: no control buffer is needed where no control data comes",
     "Wine sock.c test_ip_pktinfo",
     lambda w: w.udp().peer("send", DATA, SENDER).succeeds(5, 10, call=RECVMSG)
     .completes(SUCCESS, DATA).gives(message_flags=0, control=b"")),
    ("24: without overlapped, no control buffer is needed where no control data comes",
     "Wine sock.c test_ip_pktinfo",
     lambda w: w.udp().peer("send", DATA, SENDER)
     .succeeds(5, 10, call=RECVMSG, overlapped=False)
     .has(DATA).gives(message_flags=0, control=b"")),
    ("26: a connection has no messages",
     "the documentation of WSARecvMsg: for datagram and raw sockets",
     lambda w: w.tcp().peer("send", DATA).fails(WinsockError.WSAEOPNOTSUPP, 5, call=RECVMSG)
     .is_left(DATA)),
    *[(f"26: a filter driver may fail every message, {overlapped=}",
       "AdguardForWindows #6219, amnezia-client #3048: filter drivers fail it",
       lambda w, overlapped=overlapped: w.behaves(message_faults=True).udp().peer("send", DATA)
       .fails(WSAEFAULT, 10, call=RECVMSG, overlapped=overlapped)
       .holds(UNTOUCHED, UNTOUCHED).is_left([DATA]))
      for overlapped in (True, False)],
]  # fmt: skip


@scenarios(SCENARIOS)
def test_messages_are_received_as_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()


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
    winsock: Winsock, message: tuple[int, int, bytes]
) -> None:
    control = cmsg(*message)
    winsock.udp().pends(10, call=RECVMSG, control_size=100).peer("send", DATA, SENDER, control)
    winsock.completes(SUCCESS, DATA).gives(control=control, message_sender=SENDER)
    assert parse_ancillary(control) == [message]


@pytest.mark.behaviour("26", "Wine sock.c test_ip_pktinfo")
def test_a_message_is_needed(winsock: Winsock) -> None:
    ws2_32, handle = winsock.udp().simulation.ws2_32, winsock.sockets[-1].fileno()
    assert ws2_32.WSARecvMsg(handle, real.NULL, real.NULL, real.NULL, real.NULL) == -1
    assert ws2_32.WSAGetLastError() == WSAEFAULT
