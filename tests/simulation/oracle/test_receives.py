"""What a receive takes: bytes, urgent bytes, datagrams and messages, and what its flags mean."""

from __future__ import annotations

import struct

import pytest

from tests.simulation.behaviour import FlagsOut, WaitAll
from tests.simulation.memory import real
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError
from trio_wsarecv._winsock.parse import parse_ancillary

from .calls import DATA, EVENT, SENDER, UNTOUCHED, Scenario, Steps, Winsock, scenarios

SUCCESS, OVERFLOW, PENDING = NtStatus.SUCCESS, NtStatus.BUFFER_OVERFLOW, NtStatus.PENDING
WSAEINVAL, WSAEOPNOTSUPP = WinsockError.WSAEINVAL, WinsockError.WSAEOPNOTSUPP
WSAEMSGSIZE, WSAEFAULT = WinsockError.WSAEMSGSIZE, WinsockError.WSAEFAULT
OOB, PEEK = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK
WAITALL, PARTIAL = MsgFlag.MSG_WAITALL, MsgFlag.MSG_PARTIAL
CTRUNC, TRUNC = MsgFlag.MSG_CTRUNC, MsgFlag.MSG_TRUNC
IPPROTO_IP, IPPROTO_IPV6 = 0, 41
IP_TOS, IP_TTL, IP_PKTINFO, IP_HOPLIMIT, IP_TCLASS = 3, 4, 19, 21, 39
IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS = 19, 21, 39
LONG = b"0123456789"
FROM, RECVMSG = "WSARecvFrom", "WSARecvMsg"


def cmsg(level: int, kind: int, data: bytes) -> bytes:
    header = struct.pack("@Nii", struct.calcsize("@Nii") + len(data), level, kind)
    alignment = struct.calcsize("@N")
    return (header + data).ljust(-(-len(header + data) // alignment) * alignment, b"\0")


PKTINFO = cmsg(IPPROTO_IP, IP_PKTINFO, bytes([127, 0, 0, 1, 1, 0, 0, 0]))

TOO_LONG: list[Scenario] = [
    ("17: a waiting datagram that does not fit is reported as pending",
     "Go udpsock_test.go TestUDPReadSizeError, fd_windows.go execIO; .NET; Wine",
     lambda w: w.udp().peer("send", LONG).pends(4).completes(OVERFLOW, b"0123").is_left([])),
    ("17: a waiting datagram that does not fit may fail the call and queue its packet",
     "libuv winsock.c, and zio PR #733, which see WSAEMSGSIZE and then the packet",
     lambda w: w.behaves(too_long_pends=False).udp().peer("send", LONG)
     .answers(WSAEMSGSIZE, 4, 4).completes(OVERFLOW, b"0123")),
    ("17: in skip mode, a datagram that does not fit inline queues nothing",
     "libuv winsock.c, which sees the status of the system call",
     lambda w: w.behaves(too_long_pends=False).udp(skips_on_success=True).peer("send", LONG)
     .answers(WSAEMSGSIZE, 4, 4).has(b"0123")),
    ("18: a datagram that does not fit ends a pending receive with its beginning",
     "Wine afd.c test_recv",
     lambda w: w.udp().pends(2, 2).peer("send", LONG).completes(OVERFLOW, b"0123")
     .peer("send", b"next").succeeds(4, 4).completes(SUCCESS, b"next")),
    ("19: with an event, the result of a datagram that does not fit is there at return",
     "Wine afd.c test_recv, with an event",
     lambda w: w.behaves(too_long_pends=False, overflow_iosb=False).udp(associated=False)
     .peer("send", LONG).answers(WSAEMSGSIZE, 4, 4, event=EVENT).holds(OVERFLOW, 4)),
    ("19: on a port, the result of a datagram that does not fit may be there at return",
     "no test that was read asserts it for a port without an event",
     lambda w: w.behaves(too_long_pends=False).udp().peer("send", LONG)
     .answers(WSAEMSGSIZE, 4, 4).holds(OVERFLOW, 4).completes(OVERFLOW, b"0123")),
    ("19: on a port, the result of a datagram that does not fit may come with its packet",
     "no test that was read asserts it for a port without an event",
     lambda w: w.behaves(too_long_pends=False, overflow_iosb=False).udp().peer("send", LONG)
     .answers(WSAEMSGSIZE, 4, 4).holds(PENDING).completes(OVERFLOW, b"0123")),
    ("20: a receive of no bytes takes the datagram, and pends",
     "Go udpsock_test.go TestUDPZeroByteBuffer",
     lambda w: w.udp().peer("send", LONG).pends(0).completes(OVERFLOW).is_left([])),
    ("20: a receive of no bytes takes the datagram, and fails inline",
     "zio PR #733; without overlapped, Go udpsock_test.go TestUDPZeroByteBuffer",
     lambda w: w.behaves(too_long_pends=False).udp().peer("send", LONG)
     .answers(WSAEMSGSIZE, 0, 0).completes(OVERFLOW).is_left([])
     .peer("send", LONG).answers(WSAEMSGSIZE, 0, 0, overlapped=False).is_left([])),
]  # fmt: skip

MESSAGES: list[Scenario] = [
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
    *[(f"24: no control buffer is needed where no control data comes, {overlapped=}",
       "Wine sock.c test_ip_pktinfo",
       lambda w, overlapped=overlapped: w.udp(skips_on_success=True).peer("send", DATA, SENDER)
       .succeeds(5, 10, call=RECVMSG, overlapped=overlapped)
       .has(DATA).gives(message_flags=0, control=b""))
      for overlapped in (True, False)],
    ("26: a connection has no messages",
     "the documentation of WSARecvMsg: for datagram and raw sockets",
     lambda w: w.tcp().peer("send", DATA).fails(WSAEOPNOTSUPP, 5, call=RECVMSG).is_left(DATA)),
    *[(f"26: a filter driver may fail every message, {overlapped=}",
       "AdguardForWindows #6219, amnezia-client #3048: filter drivers fail it",
       lambda w, overlapped=overlapped: w.behaves(message_faults=True).udp().peer("send", DATA)
       .fails(WSAEFAULT, 10, call=RECVMSG, overlapped=overlapped)
       .holds(UNTOUCHED, UNTOUCHED).is_left([DATA]))
      for overlapped in (True, False)],
]  # fmt: skip

SENDERS: list[Scenario] = [
    ("21: an empty datagram is a success of no bytes",
     "Go udpsock_test.go TestUDPZeroBytePayload",
     lambda w: w.udp().peer("send", b"", SENDER).succeeds(0, 5, call=FROM)
     .completes(SUCCESS).gives(sender=SENDER)),
    *[row for overlapped in (True, False) for row in (
        (f"72: a connection leaves the sender's address and its size alone, {overlapped=}",
         "Wine sock.c test_tcp_sendto_recvfrom, simple_mixed_client",
         lambda w, overlapped=overlapped: w.tcp(skips_on_success=True).peer("send", DATA)
         .succeeds(5, 5, call=FROM, sender_size=100, overlapped=overlapped)
         .has(DATA).gives(sender=bytes(100))),
        (f"73: without room for the address, the call fails and keeps the datagram, {overlapped=}",
         "Wine sock.c test_UDP (todo_wine)",
         lambda w, overlapped=overlapped: w.udp().peer("send", DATA, SENDER)
         .fails(WSAEFAULT, 5, call=FROM, sender_size=1, overlapped=overlapped)
         .gives(sender=b"\0").no_packet()
         .succeeds(5, 5, call=FROM, sender_size=16).completes(SUCCESS, DATA)
         .gives(sender=SENDER)),
    )],
    *[row for status, error in (
        (NtStatus.PORT_UNREACHABLE, WinsockError.WSAECONNRESET),
        (NtStatus.HOPLIMIT_EXCEEDED, WinsockError.WSAENETRESET),
    ) for row in (
        (f"74: an ICMP message fails one call without a packet, {error.name}",
         "libuv src/win/udp.c",
         lambda w, status=status, error=error: w.udp().peer("send_error", status)
         .fails(error, 5).no_packet().pends(5)),
        (f"74: an ICMP message ends one pending receive, {status.name}",
         "CPython windows_events finish_socket_func, ERROR_PORT_UNREACHABLE",
         lambda w, status=status: w.udp().pends(5).peer("send_error", status)
         .completes(status).peer("send", DATA).succeeds(5, 5).completes(SUCCESS, DATA)),
    )],
]  # fmt: skip

URGENT: list[Scenario] = [
    ("49: an urgent byte is a plain success of one byte, at once or later",
     "Wine afd.c test_recv (todo_wine)",
     lambda w: w.tcp().peer("send_urgent", b"ab!").succeeds(1, 5, flags=OOB)
     .completes(SUCCESS, b"!").is_left(b"ab")
     .pends(5, flags=OOB).peer("send_urgent", b"?").completes(SUCCESS, b"?").is_left(b"ab")),
    ("49: an urgent byte may have a status of its own",
     "libuv's and the driver kit's STATUS_RECEIVE_EXPEDITED",
     lambda w: w.behaves(urgent_status=NtStatus.RECEIVE_EXPEDITED).tcp()
     .peer("send_urgent", b"!").succeeds(1, 5, flags=OOB)
     .completes(NtStatus.RECEIVE_EXPEDITED, b"!")),
    ("50: an ordinary receive ignores urgent bytes",
     "Wine afd.c test_recv",
     lambda w: w.tcp().peer("send_urgent", b"!").pends(5).peer("send", DATA)
     .completes(SUCCESS, DATA)),
    ("51: several urgent bytes are received one by one",
     "Wine sock.c test_fionread_siocatmark, test_oob_events (todo_wine)",
     lambda w: w.tcp().peer("send_urgent", b"1").peer("send_urgent", b"2")
     .succeeds(1, 5, flags=OOB).completes(SUCCESS, b"1")
     .succeeds(1, 5, flags=OOB).completes(SUCCESS, b"2")),
    ("52: with SO_OOBINLINE, an urgent byte comes in line",
     "Wine sock.c oob_server, oob_client, test_fionread_siocatmark",
     lambda w: w.tcp(urgent_inline=True).peer("send", b"data").peer("send_urgent", b"!")
     .succeeds(5, 5).completes(SUCCESS, DATA)),
    ("53: with SO_OOBINLINE, MSG_OOB is refused",
     "Wine sock.c test_select",
     lambda w: w.tcp(urgent_inline=True).peer("send_urgent", b"!")
     .fails(WSAEINVAL, 5, flags=OOB).fails(WSAEINVAL, 5, flags=OOB, overlapped=False)),
    ("54: an urgent byte does not make the socket readable",
     "Wine afd.c test_poll: AFD_POLL_OOB alone",
     lambda w: w.tcp().peer("send_urgent", b"!").is_readable(False)),
    ("80: MSG_OOB without an urgent byte may wait",
     "no test that was read asserts it",
     lambda w: w.tcp().peer("send", DATA).pends(5, flags=OOB)
     .peer("send_urgent", b"!").completes(SUCCESS, b"!")),
    ("80: MSG_OOB without an urgent byte may be refused",
     "no test that was read asserts it",
     lambda w: w.behaves(refuses_early_oob=True).tcp().peer("send", DATA)
     .fails(WSAEINVAL, 5, flags=OOB).peer("send_urgent", b"!").no_packet()),
]  # fmt: skip

FLAGS: list[Scenario] = [
    *[row for kind in ("tcp", "udp") for row in (
        (f"55: an overlapped peek leaves the data, {kind}",
         "Wine afd.c test_recv; libuv src/win/udp.c",
         lambda w, kind=kind: getattr(w, kind)().pends(5, flags=PEEK).peer("send", DATA)
         .completes(SUCCESS, DATA).succeeds(5, 5, flags=PEEK).completes(SUCCESS, DATA)
         .succeeds(5, 5).completes(SUCCESS, DATA).pends(5)),
        (f"57: MSG_PARTIAL may mean nothing, {kind}",
         "no test that was read asserts it",
         lambda w, kind=kind: getattr(w, kind)().peer("send", DATA)
         .succeeds(5, 6, flags=PARTIAL).completes(SUCCESS, DATA)),
        (f"57: MSG_PARTIAL may be refused, {kind}",
         "no test that was read asserts it",
         lambda w, kind=kind: getattr(w.behaves(refuses_partial=True), kind)()
         .peer("send", DATA).fails(WSAEOPNOTSUPP, 6, flags=PARTIAL)),
    )],
    ("56: on a blocking socket, MSG_WAITALL waits for all",
     "Wine afd.c test_recv (todo_wine)",
     lambda w: w.tcp().own("setblocking", True).peer("send", b"data")
     .pends(6, flags=WAITALL).peer("send", b"da").completes(SUCCESS, b"datada")),
    ("56: on a non-blocking socket, MSG_WAITALL may mean nothing",
     "not asserted for a non-blocking socket",
     lambda w: w.tcp().peer("send", DATA).succeeds(5, 6, flags=WAITALL).completes(SUCCESS, DATA)),
    ("56: on a non-blocking socket, MSG_WAITALL may be refused",
     "the documentation of MSG_WAITALL",
     lambda w: w.behaves(wait_all=WaitAll.REFUSED).tcp().peer("send", DATA)
     .fails(WSAEOPNOTSUPP, 6, flags=WAITALL)),
    ("56: on a non-blocking socket, MSG_WAITALL may wait; end and cancellation leave the bytes",
     "the documentation of MSG_WAITALL: closed, cancelled or failed",
     lambda w: w.behaves(wait_all=WaitAll.WAITS).tcp().peer("send", DATA)
     .pends(6, flags=WAITALL).cancels().completes(NtStatus.CANCELLED, DATA).peer("send", DATA)
     .pends(6, flags=WAITALL).peer("send_end").completes(SUCCESS, DATA)),
    *[(f"58: any call may write its flags, {flags_out.name}",
       "libuv src/win/winsock.c uv__wsarecv_workaround; ReactOS msafd sndrcv.c",
       lambda w, flags_out=flags_out, success=success, others=others: w
       .behaves(flags_out=flags_out).tcp(skips_on_success=True).peer("send", DATA)
       .succeeds(5, 5, flags=PEEK).gives(flags=success)
       .tcp().pends(5, flags=PEEK).gives(flags=others)
       .own("shutdown", 0).fails(WinsockError.WSAESHUTDOWN, 5, flags=PEEK).gives(flags=others)
       .tcp().fails(WinsockError.WSAEWOULDBLOCK, 5, flags=PEEK, overlapped=False)
       .gives(flags=others))
      for flags_out, success, others in (
          (FlagsOut.LEFT, PEEK, PEEK), (FlagsOut.ON_SUCCESS, 0, PEEK), (FlagsOut.ZEROED, 0, 0))],
    ("59: a receive needs a buffer",
     "Wine sock.c test_empty_recv",
     lambda w: w.tcp().peer("send", DATA).fails(WSAEINVAL).fails(WSAEINVAL, overlapped=False)
     .fails(WSAEINVAL, call=FROM).fails(WSAEINVAL, call=FROM, overlapped=False).is_left(DATA)),
    ("60: a receive of no bytes waits for data and takes none",
     "Wine sock.c test_empty_recv",
     lambda w: w.tcp().pends(0).peer("send", DATA).completes(SUCCESS)
     .succeeds(0, 0).completes(SUCCESS).is_left(DATA)),
    ("61: several buffers are filled in order and the rest is untouched",
     "Wine afd.c test_recv; Wine sock.c test_WSARecv",
     lambda w: w.tcp().pends(3, 0, 4, 2).peer("send", DATA).completes(SUCCESS, DATA)),
    ("62: the array of buffers may be gone after the call, as after every call here",
     "Wine afd.c test_recv: it 'need not remain valid'",
     lambda w: w.tcp().pends(5).peer("send", DATA).completes(SUCCESS, DATA)
     .udp().pends(5, call=RECVMSG).peer("send", DATA).completes(SUCCESS, DATA)),
    ("63: several receives are filled in order",
     "Wine sock.c test_simultaneous_async_recv",
     lambda w: w.tcp().pends(4).pends(4).peer("send", b"01234567")
     .completes(SUCCESS, b"0123", which=0).completes(SUCCESS, b"4567", which=1)),
    ("64: a buffer that is not memory of the program is refused",
     "Wine sock.c test_read_events",
     lambda w: w.tcp().peer("send", DATA).fails(WSAEFAULT, 5, length=0xDEADBEEF).is_left(DATA)
     .complains("the buffer of a receive is not, or no longer, memory of the package or an "
                "exported buffer")),
]  # fmt: skip


@scenarios(TOO_LONG, MESSAGES, SENDERS, URGENT, FLAGS)
def test_a_receive_takes_what_it_does_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()


CONTROL = [
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


@pytest.mark.parametrize("message", CONTROL, ids=str)
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
