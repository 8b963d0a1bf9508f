"""Datagrams: what does not fit, what is empty, who sent it, and what ICMP brings."""

from __future__ import annotations

from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import DATA, EVENT, SENDER, Scenario, Steps, Winsock, scenarios

SUCCESS, OVERFLOW, PENDING = NtStatus.SUCCESS, NtStatus.BUFFER_OVERFLOW, NtStatus.PENDING
WSAEMSGSIZE, WSAEFAULT = WinsockError.WSAEMSGSIZE, WinsockError.WSAEFAULT
LONG = b"0123456789"

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
     lambda w: w.behaves(too_long_pends=False, overflow_iosb=False)
     .udp(associated=False).peer("send", LONG).answers(WSAEMSGSIZE, 4, 4, event=EVENT)
     .holds(OVERFLOW, 4)),
    ("19: on a port, the result of a datagram that does not fit may be there at return",
     "no test that was read asserts it for a port without an event",
     lambda w: w.behaves(too_long_pends=False).udp().peer("send", LONG)
     .answers(WSAEMSGSIZE, 4, 4).holds(OVERFLOW, 4).completes(OVERFLOW, b"0123")),
    ("19: on a port, the result of a datagram that does not fit may come with its packet",
     "no test that was read asserts it for a port without an event",
     lambda w: w.behaves(too_long_pends=False, overflow_iosb=False).udp()
     .peer("send", LONG).answers(WSAEMSGSIZE, 4, 4).holds(PENDING)
     .completes(OVERFLOW, b"0123")),
    ("20: a receive of no bytes takes the datagram, and pends",
     "Go udpsock_test.go TestUDPZeroByteBuffer",
     lambda w: w.udp().peer("send", LONG).pends(0).completes(OVERFLOW).is_left([])),
    ("20: a receive of no bytes takes the datagram, and fails inline",
     "zio PR #733",
     lambda w: w.behaves(too_long_pends=False).udp().peer("send", LONG)
     .answers(WSAEMSGSIZE, 0, 0).completes(OVERFLOW).is_left([])),
    ("20: without overlapped, a receive of no bytes takes the datagram",
     "Go udpsock_test.go TestUDPZeroByteBuffer",
     lambda w: w.udp().peer("send", LONG).answers(WSAEMSGSIZE, 0, 0, overlapped=False)
     .is_left([])),
]  # fmt: skip

OTHERS: list[Scenario] = [
    ("21: an empty datagram is a success of no bytes",
     "Go udpsock_test.go TestUDPZeroBytePayload",
     lambda w: w.udp().peer("send", b"", SENDER).succeeds(0, 5, call="WSARecvFrom")
     .completes(SUCCESS).gives(sender=SENDER)),
    ("72: a connection leaves the sender's address and its size alone",
     "Wine sock.c test_tcp_sendto_recvfrom, simple_mixed_client",
     lambda w: w.tcp().peer("send", DATA).succeeds(5, 5, call="WSARecvFrom", sender_size=100)
     .completes(SUCCESS, DATA).gives(sender=bytes(100))),
    ("72: without overlapped, a connection leaves the sender's address and its size alone",
     "Wine sock.c test_tcp_sendto_recvfrom, simple_mixed_client",
     lambda w: w.tcp().peer("send", DATA)
     .succeeds(5, 5, call="WSARecvFrom", sender_size=100, overlapped=False)
     .has(DATA).gives(sender=bytes(100))),
    *[(f"73: without room for the address, the call fails and keeps the datagram, {overlapped=}",
       "Wine sock.c test_UDP (todo_wine)",
       lambda w, overlapped=overlapped: w.udp().peer("send", DATA, SENDER)
       .fails(WSAEFAULT, 5, call="WSARecvFrom", sender_size=1, overlapped=overlapped)
       .gives(sender=b"\0").no_packet()
       .succeeds(5, 5, call="WSARecvFrom", sender_size=16).completes(SUCCESS, DATA)
       .gives(sender=SENDER))
      for overlapped in (True, False)],
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


@scenarios([*TOO_LONG, *OTHERS])
def test_datagrams_are_received_as_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()
