"""Receives that complete, inline or later: the result, and whether a packet follows."""

from __future__ import annotations

import threading

import pytest

from tests.simulation.behaviour import FlagsOut
from tests.simulation.kernel import ThreadBlocked
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import (
    DATA,
    EVENT,
    EVENT_WITHOUT_PACKET,
    UNTOUCHED,
    Scenario,
    Steps,
    Winsock,
    scenarios,
)

SUCCESS, CANCELLED, PENDING = NtStatus.SUCCESS, NtStatus.CANCELLED, NtStatus.PENDING
SOL_SOCKET, SO_RCVTIMEO = 0xFFFF, 0x1006

PENDED: list[Scenario] = [
    ("1: on a port, the result is written when the packet is dequeued",
     "Wine afd.c test_async_cancel_on_handle_close; TCP on Windows 11: inventor-on-wine",
     lambda w: w.tcp().pends(5).peer("send", DATA)
     .has(DATA).holds(PENDING).completes(SUCCESS, DATA)),
    ("1: on a port, a cancelled receive is pending until its packet is dequeued",
     "inventor-on-wine, io-completion.md: CancelIoEx returns with the operation still pending",
     lambda w: w.tcp().pends(5).cancels().holds(PENDING).completes(CANCELLED)),
    ("1: another system writes the result at completion",
     "Wine, up to version 10",
     lambda w: w.behaves(late_iosb=False).tcp().pends(5).peer("send", DATA)
     .holds(SUCCESS, 5).completes(SUCCESS, DATA)),
    ("2: a receive that waits is pending, and its byte count untouched",
     "Wine sock.c test_nonblocking_async_recv",
     lambda w: w.tcp().pends(5).holds(PENDING).no_packet()),
    ("7: a refused call leaves the status pending",
     "Wine sock.c test_AcceptEx, test_connecting_socket",
     lambda w: w.tcp().peer("reset").fails(WinsockError.WSAECONNRESET, 5).holds(PENDING)),
    ("8: a refused call may leave the status untouched",
     "Wine afd.c test_recv: failed ioctls",
     lambda w: w.behaves(left_by_failure=None).tcp().own("shutdown", 0)
     .fails(WinsockError.WSAESHUTDOWN, 5).holds(UNTOUCHED, UNTOUCHED)),
    ("16: a receive has one packet",
     "Wine sock.c test_completion_port: a second GetQueuedCompletionStatus times out",
     lambda w: w.tcp().pends(5).peer("send", DATA).completes(SUCCESS, DATA).no_packet()),
    ("65: a receive timeout has no effect on an overlapped receive of a stream",
     "Wine sock.c test_timeout",
     lambda w: w.tcp().own("setsockopt", SOL_SOCKET, SO_RCVTIMEO, 100).pends(1).no_packet()
     .peer("send", b"a").completes(SUCCESS, b"a")),
    ("65: a receive timeout has no effect on an overlapped receive of a datagram",
     "Wine sock.c test_timeout",
     lambda w: w.udp().own("setsockopt", SOL_SOCKET, SO_RCVTIMEO, 100).pends(1).no_packet()
     .peer("send", b"a").completes(SUCCESS, b"a")),
    ("66: without overlapped, a non-blocking receive does not wait",
     "Wine sock.c test_nonblocking_async_recv",
     lambda w: w.tcp().fails(WinsockError.WSAEWOULDBLOCK, 5, overlapped=False)
     .holds(UNTOUCHED, UNTOUCHED)),
    ("66: without overlapped, waiting data is received and queues no packet",
     "Wine sock.c test_nonblocking_async_recv",
     lambda w: w.tcp().peer("send", DATA).succeeds(5, 5, overlapped=False).has(DATA)),
    ("67: a socket not made for overlapped receives serves others",
     "Wine sock.c test_nonblocking_async_recv",
     lambda w: w.tcp(associated=False, overlapped_io=False)
     .fails(WinsockError.WSAEWOULDBLOCK, 5, overlapped=False)),
    ("75: data for a pending receive does not make a stream readable",
     "Wine afd.c test_poll; Wine sock.c test_read_events",
     lambda w: w.behaves(prompt=False).tcp().pends(5).peer("send", DATA).is_readable(False)
     .settles().is_readable(False).completes(SUCCESS, DATA)
     .peer("send", b"more").is_readable(True)),
    ("75: data for a pending receive does not make a datagram socket readable",
     "Wine afd.c test_poll; Wine sock.c test_read_events",
     lambda w: w.behaves(prompt=False).udp().pends(5).peer("send", DATA).is_readable(False)
     .settles().is_readable(False).completes(SUCCESS, DATA)
     .peer("send", b"more").is_readable(True)),
    ("76: a port can be associated while data waits",
     "Wine sock.c test_completion_port",
     lambda w: w.tcp(associated=False).peer("send", DATA).associates().is_readable(True)
     .no_packet().succeeds(5, 5).completes(SUCCESS, DATA)),
]  # fmt: skip

INLINE: list[Scenario] = [
    ("3: inline success queues one packet with the same bytes",
     "Wine sock.c test_completion_port, the immediate read",
     lambda w: w.tcp().peer("send", DATA).succeeds(5, 10).completes(SUCCESS, DATA).no_packet()),
    ("4: with an event, the result of an inline success is there at return",
     "Wine afd.c test_recv, 'synchronous return'",
     lambda w: w.behaves(inline_iosb=False).tcp(associated=False).peer("send", DATA)
     .succeeds(5, 10, event=EVENT).holds(SUCCESS, 5)),
    ("4: on a port, the result of an inline success may be there at return",
     "pipes measured in inventor-on-wine, io-completion.md",
     lambda w: w.behaves(inline_iosb=True).tcp().peer("send", DATA)
     .succeeds(5, 10).holds(SUCCESS, 5).completes(SUCCESS, DATA)),
    ("4: on a port, the result of an inline success may come with its packet",
     "msquic zeroes Internal by hand",
     lambda w: w.behaves(inline_iosb=False).tcp().peer("send", DATA)
     .succeeds(5, 10).holds(PENDING).completes(SUCCESS, DATA)),
    ("5: the end of the stream is an inline success of no bytes",
     "Wine sock.c test_completion_port, the graceful shutdown",
     lambda w: w.tcp().peer("send_end").succeeds(0, 10).completes(SUCCESS).no_packet()),
    ("6: waiting data may be reported as pending",
     "Wine sock.c test_nonblocking_async_recv: 'usually this does return 0 (not reliably)'",
     lambda w: w.behaves(always_pends=True).tcp().peer("send", DATA)
     .pends(10).completes(SUCCESS, DATA)),
    ("12: a completion routine on an associated socket is refused",
     "Wine sock.c test_WSARecv",
     lambda w: w.tcp().peer("send", DATA).fails(WinsockError.WSAEINVAL, 10, routine=object())
     .is_left(DATA)),
    ("13: the low bit of the event suppresses the packet of an inline success",
     "Wine sock.c test_connect_completion_port",
     lambda w: w.tcp().peer("send", DATA).succeeds(5, 10, event=EVENT_WITHOUT_PACKET)
     .holds(SUCCESS, 5)),
    ("13: the low bit of the event suppresses the packet of a receive that pended",
     "Wine sock.c test_connect_completion_port",
     lambda w: w.tcp().pends(10, event=EVENT_WITHOUT_PACKET).peer("send", DATA)
     .holds(SUCCESS, 5)),
    ("13: an event without the low bit leaves the packet",
     "Wine sock.c test_connect_completion_port",
     lambda w: w.tcp().pends(10, event=EVENT).peer("send", DATA)
     .holds(SUCCESS, 5).completes(SUCCESS, DATA)),
    ("14: in skip mode, inline success queues no packet, and what pends queues one",
     "Wine ntdll file.c test_file_completion_information; sock.c test_connect_completion_port",
     lambda w: w.tcp(skips_on_success=True).peer("send", DATA).succeeds(5, 10).no_packet()
     .pends(10).peer("send", b"more").completes(SUCCESS, b"more")),
    ("14: in skip mode, what is reported as pending queues its packet",
     "Wine ntdll file.c test_file_completion_information",
     lambda w: w.behaves(always_pends=True).tcp(skips_on_success=True).peer("send", DATA)
     .pends(10).completes(SUCCESS, DATA)),
]  # fmt: skip


@scenarios([*PENDED, *INLINE])
def test_a_receive_completes_as_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()


@pytest.mark.behaviour("1", "inventor-on-wine, io-completion.md")
def test_an_overlapped_written_to_before_its_packet_is_dequeued_is_noticed(
    winsock: Winsock,
) -> None:
    winsock.tcp().pends(5).peer("send", DATA)
    winsock.made[-1].overlapped.Internal = 0
    assert winsock.dequeue() is winsock.made[-1]
    winsock.complains("an OVERLAPPED was written to before its packet was dequeued")


@pytest.mark.behaviour(
    "9", "Wine sock.c iocp_async_read_thread; Wine afd.c test_async_thread_termination"
)
def test_a_receive_survives_the_thread_that_submitted_it(winsock: Winsock) -> None:
    thread = threading.Thread(target=winsock.tcp().pends, args=[100])
    thread.start()
    thread.join()
    winsock.no_packet().peer("send", DATA).completes(SUCCESS, DATA)


@pytest.mark.behaviour(
    "14", "Wine ntdll file.c test_file_completion_information: it cannot be cleared"
)
def test_skip_mode_cannot_be_unset_and_is_shared_by_duplicates(winsock: Winsock) -> None:
    set_modes = winsock.tcp().simulation.kernel32.SetFileCompletionNotificationModes
    assert set_modes(winsock.sockets[-1].fileno(), 1)
    assert set_modes(winsock.sockets[-1].fileno(), 0)
    winsock.duplicates().peer("send", DATA).succeeds(5, 10).no_packet()


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("status", [NtStatus.SUCCESS, NtStatus.RECEIVE_PARTIAL])
@pytest.mark.behaviour(
    "14", "the documentation of SetFileCompletionNotificationModes, and of lpFlags"
)
def test_in_skip_mode_the_out_parameters_are_the_result(
    winsock: Winsock, flags_out: FlagsOut, status: NtStatus
) -> None:
    winsock.behaves(inline_iosb=False, flags_out=flags_out).tcp(skips_on_success=True)
    winsock.peer("send", DATA, status).succeeds(5, 10).holds(PENDING).no_packet()
    told = status is NtStatus.RECEIVE_PARTIAL and flags_out is not FlagsOut.LEFT
    winsock.gives(flags=0x8000 if told else 0)


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.behaviour(
    "67", "Wine sock.c test_nonblocking_async_recv: 'always blocks when passed an overlapped'"
)
def test_a_socket_not_made_for_overlapped_receives_blocks_the_thread(
    winsock: Winsock, blocking: bool
) -> None:
    winsock.behaves(always_pends=True).tcp(associated=False, overlapped_io=False)
    winsock.own("setblocking", blocking)
    with pytest.raises(ThreadBlocked):
        winsock.receive(5)
    winsock.complains("a receive was submitted that blocks the thread")
    winsock.peer("send", DATA).succeeds(5, 5).holds(SUCCESS, 5)


@pytest.mark.behaviour("76", "Wine sock.c getsockopt SO_PROTOCOL_INFOW")
def test_the_description_of_the_provider_has_one_size(winsock: Winsock) -> None:
    sock = winsock.tcp().sockets[-1]
    assert len(sock.getsockopt(SOL_SOCKET, 0x2005, 1000)) == 628
    with pytest.raises(OSError, match=r"10014"):
        sock.getsockopt(SOL_SOCKET, 0x2005, 627)
