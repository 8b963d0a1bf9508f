"""How receives complete: inline or later, cancelled, and on connections that end or are closed."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.simulation import CancelAnswer, State
from tests.simulation.behaviour import WINE_HANDLES_CLOSED, FlagsOut
from tests.simulation.kernel import ThreadBlocked
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

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
CONNECTION_ABORTED = NtStatus.CONNECTION_ABORTED
WSAECONNRESET, WSAESHUTDOWN = WinsockError.WSAECONNRESET, WinsockError.WSAESHUTDOWN
WSAENOTCONN, WSAEINVAL = WinsockError.WSAENOTCONN, WinsockError.WSAEINVAL
WSAEWOULDBLOCK = WinsockError.WSAEWOULDBLOCK
SOL_SOCKET, SO_RCVTIMEO = 0xFFFF, 0x1006
RECEIVE, SEND, BOTH = socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR
KINDS = ("tcp", "udp")

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
    ("2, 16: a receive that waits is pending, its byte count untouched, and it has one packet",
     "Wine sock.c test_nonblocking_async_recv, test_completion_port",
     lambda w: w.tcp().pends(5).holds(PENDING).no_packet()
     .peer("send", DATA).completes(SUCCESS, DATA).no_packet()),
    ("7: a refused call leaves the status pending",
     "Wine sock.c test_AcceptEx, test_connecting_socket",
     lambda w: w.tcp().peer("reset").fails(WSAECONNRESET, 5).holds(PENDING)),
    ("8: a refused call may leave the status untouched",
     "Wine afd.c test_recv: failed ioctls",
     lambda w: w.behaves(left_by_failure=None).tcp().own("shutdown", RECEIVE)
     .fails(WSAESHUTDOWN, 5).holds(UNTOUCHED, UNTOUCHED)),
    *[(f"65: a receive timeout has no effect on an overlapped receive, {kind}",
       "Wine sock.c test_timeout",
       lambda w, kind=kind: getattr(w, kind)().own("setsockopt", SOL_SOCKET, SO_RCVTIMEO, 100)
       .pends(5).no_packet().peer("send", DATA).completes(SUCCESS, DATA))
      for kind in KINDS],
    ("66: without overlapped, a receive of a non-blocking socket takes data or fails",
     "Wine sock.c test_nonblocking_async_recv",
     lambda w: w.tcp().fails(WSAEWOULDBLOCK, 5, overlapped=False).holds(UNTOUCHED, UNTOUCHED)
     .peer("send", DATA).succeeds(5, 5, overlapped=False).has(DATA)),
    *[(f"75: data for a pending receive does not make the socket readable, {kind}",
       "Wine afd.c test_poll; Wine sock.c test_read_events",
       lambda w, kind=kind: getattr(w.behaves(prompt=False), kind)().pends(5).peer("send", DATA)
       .is_readable(False).settles().is_readable(False).completes(SUCCESS, DATA)
       .peer("send", b"more").is_readable(True))
      for kind in KINDS],
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
     lambda w: w.tcp().peer("send", DATA)
     .succeeds(5, 10).holds(SUCCESS, 5).completes(SUCCESS, DATA)),
    ("4: on a port, the result of an inline success may come with its packet",
     "msquic zeroes Internal by hand",
     lambda w: w.behaves(inline_iosb=False).tcp().peer("send", DATA)
     .succeeds(5, 10).holds(PENDING).completes(SUCCESS, DATA)),
    ("6: waiting data may be reported as pending",
     "Wine sock.c test_nonblocking_async_recv: 'usually this does return 0 (not reliably)'",
     lambda w: w.behaves(always_pends=True).tcp().peer("send", DATA)
     .pends(10).completes(SUCCESS, DATA)),
    ("12: a completion routine on an associated socket is refused",
     "Wine sock.c test_WSARecv",
     lambda w: w.tcp().peer("send", DATA).fails(WSAEINVAL, 10, routine=object()).is_left(DATA)),
    ("13: the low bit of the event suppresses the packet",
     "Wine sock.c test_connect_completion_port",
     lambda w: w.tcp().pends(10, event=EVENT_WITHOUT_PACKET).peer("send", DATA)
     .holds(SUCCESS, 5).no_packet()
     .peer("send", DATA).succeeds(5, 10, event=EVENT_WITHOUT_PACKET).holds(SUCCESS, 5)),
    ("13: an event without the low bit leaves the packet",
     "Wine sock.c test_connect_completion_port",
     lambda w: w.tcp().pends(10, event=EVENT).peer("send", DATA)
     .holds(SUCCESS, 5).completes(SUCCESS, DATA)),
    ("14: in skip mode, inline success queues no packet, and what pends queues one",
     "Wine ntdll file.c test_file_completion_information; sock.c test_connect_completion_port",
     lambda w: w.tcp(skips_on_success=True).peer("send", DATA).succeeds(5, 10).no_packet()
     .pends(10).peer("send", b"more").completes(SUCCESS, b"more")
     .behaves(always_pends=True).peer("send", DATA).pends(10).completes(SUCCESS, DATA)),
    *[(f"14: in skip mode, the out-parameters are the result, {flags_out.name}",
       "the documentation of SetFileCompletionNotificationModes, and of lpFlags",
       lambda w, flags_out=flags_out, flags=flags: w
       .behaves(inline_iosb=False, flags_out=flags_out).tcp(skips_on_success=True)
       .peer("send", DATA, NtStatus.RECEIVE_PARTIAL).succeeds(5, 10).holds(PENDING)
       .gives(flags=flags))
      for flags_out, flags in ((FlagsOut.LEFT, 0), (FlagsOut.ON_SUCCESS, MsgFlag.MSG_PARTIAL),
                               (FlagsOut.ZEROED, MsgFlag.MSG_PARTIAL))],
]  # fmt: skip

CANCELLING: list[Scenario] = [
    ("10: cancelling everything on a handle queues a packet for each receive",
     "Wine afd.c test_async_thread_termination",
     lambda w: w.udp().pends(5).pends(5).cancels(None)
     .completes(CANCELLED, which=0).completes(CANCELLED, which=1)),
    ("11: cancelling where nothing is pending finds nothing",
     "Wine sock.c test_send_buffering",
     lambda w: w.tcp().cancels(None, found=False)
     .pends(5).peer("send", DATA).cancels(found=False).completes(SUCCESS, DATA)),
    ("30: cancelling one receive of a connection cancels all",
     "corefx #36516, #34212; .NET CanceledOneOfMultipleReceives_Tcp",
     lambda w: w.tcp().pends(5).pends(5).cancels()
     .completes(CANCELLED, which=0).completes(CANCELLED, which=1)),
    ("30: another system cancels that receive only",
     "Wine",
     lambda w: w.behaves(cancels_neighbours=False).tcp().pends(5).pends(5).cancels()
     .completes(CANCELLED).no_packet().peer("send", DATA).completes(SUCCESS, DATA, which=0)),
    ("31: cancelling one datagram receive leaves the others",
     ".NET CanceledOneOfMultipleReceives_Udp",
     lambda w: w.udp().pends(5).pends(5).cancels(0).completes(CANCELLED, which=0).no_packet()
     .peer("send", DATA).completes(SUCCESS, DATA)),
    ("32: after a cancelled receive, the connection can be received on",
     "golang/net nettest testFutureTimeout, resyncConn; vibe-d/eventcore #225 disagrees",
     lambda w: w.tcp().pends(5).cancels().completes(CANCELLED).pends(5).cancels()
     .completes(CANCELLED).peer("send", DATA).succeeds(5, 5).completes(SUCCESS, DATA)),
    *[(f"34: a cancellation that comes too late has no effect, {answer.name}",
       "Go execIO; Trio test_too_late_to_cancel",
       lambda w, answer=answer, found=found: w.behaves(cancel=answer, prompt=False).tcp()
       .pends(5).peer("send", DATA).cancels(found=found).settles().completes(SUCCESS, DATA))
      for answer, found in ((CancelAnswer.COMPLETES, True), (CancelAnswer.NOT_FOUND, False))],
    ("34: a cancelled receive may have bytes",
     "traps of Winsock: bytes with STATUS_CANCELLED",
     lambda w: w.behaves(cancel=CancelAnswer.ABORTED_WITH_BYTES, prompt=False).tcp().pends(5)
     .peer("send", DATA).cancels().settles().completes(CANCELLED, DATA)),
]  # fmt: skip

CLOSING: list[Scenario] = [
    ("15a: closing one of two handles ends nothing",
     "Wine sock.c test_completion_port, AcceptEx and a duplicate",
     lambda w: w.udp().duplicates().pends(5).closes().no_packet().closes().completes(CANCELLED)),
    ("15b: closing this process's last handle cancels although another process has one",
     "Wine afd.c test_async_cancel_on_handle_close",
     lambda w: w.tcp(foreign_handles=1).pends(5).closes().completes(CANCELLED).peer_saw(None)),
    ("27, 81: closing a connection aborts its receive, and may reset it",
     "Wine sock.c iocp_async_read_closesocket, iocp_async_closesocket (todo_wine); no test that "
     "was read asserts a reset, which libuv #3034 reports",
     lambda w: w.tcp().pends(5).closes().completes(CONNECTION_ABORTED).peer_saw("reset")),
    ("81: closing a connection during a receive may end the stream",
     "no test that was read asserts it",
     lambda w: w.behaves(closing_resets=False).tcp().pends(5).closes()
     .completes(CONNECTION_ABORTED).peer_saw("end")),
    ("28: closing a datagram socket cancels its receive",
     "Wine afd.c, a UDP socket (todo_wine); .NET UdpReceiveGetsCanceledByDispose",
     lambda w: w.udp().pends(5).closes().completes(CANCELLED)),
    *[(f"29: closing a connection may end its receive with {status:#x}",
       ".NET SendReceive.cs: OperationAborted or ConnectionAborted; Windows XP; Wine",
       lambda w, status=status: w.behaves(closed=status).tcp().pends(5).closes()
       .completes(status))
      for status in (CANCELLED, CONNECTION_ABORTED, NtStatus.LOCAL_DISCONNECT,
                     WINE_HANDLES_CLOSED)],
    ("33: after cancelling and closing, the peer receives the end of the stream",
     "CPython test_windows_events ProactorTests.test_close",
     lambda w: w.tcp().pends(5).cancels().closes().completes(CANCELLED).peer_saw("end")),
]  # fmt: skip

ENDING: list[Scenario] = [
    ("35: a reset before the call fails it without a packet, and its data is lost",
     "Wine sock.c test_completion_port, the reset before the call",
     lambda w: w.tcp().peer("send", b"lost").peer("reset").fails(WSAECONNRESET, 5).is_left(b"")),
    ("36, 37: a reset ends a pending receive, and then every receive fails inline",
     "Wine sock.c test_tcp_reset; for the first also test_completion_port, test_WSARecv",
     lambda w: w.tcp().pends(5).peer("reset").completes(NtStatus.CONNECTION_RESET)
     .fails(WSAECONNRESET, 5).fails(WSAECONNRESET, 5)),
    ("38: a send after the end of the stream that is answered by a reset aborts",
     "Wine sock.c test_shutdown (todo_wine)",
     lambda w: w.tcp().peer("send_end").peer("reset", CONNECTION_ABORTED)
     .fails(WinsockError.WSAECONNABORTED, 5)),
    ("5, 39, 40: the end of the stream is a success of no bytes, later and inline, each time",
     "Wine sock.c test_shutdown; test_completion_port, the graceful shutdown",
     lambda w: w.tcp().pends(5).peer("send_end").completes(SUCCESS)
     .succeeds(0, 5).completes(SUCCESS).succeeds(0, 5).completes(SUCCESS)),
    ("41: a reset makes the socket readable",
     "Wine afd.c test_poll_reset",
     lambda w: w.tcp().is_readable(False).peer("reset").is_readable(True)),
    *[row for how in (RECEIVE, BOTH) for row in (
        (f"42: a pending receive survives shutdown({how}) and gets later data",
         "Wine sock.c test_shutdown",
         lambda w, how=how: w.tcp().pends(5).own("shutdown", how).no_packet()
         .peer("send", DATA).completes(SUCCESS, DATA)),
        (f"43: a receive after shutdown({how}) is refused",
         "Wine sock.c test_shutdown; Wine afd.c test_recv, STATUS_PIPE_DISCONNECTED",
         lambda w, how=how: w.tcp().peer("send", DATA).own("shutdown", how)
         .fails(WSAESHUTDOWN, 5).fails(WSAESHUTDOWN, 5, overlapped=False)),
        (f"44: shutdown({how}) does not make the socket readable",
         "Wine sock.c test_WSAPoll; Wine afd.c test_poll",
         lambda w, how=how: w.tcp().own("shutdown", how).is_readable(False)
         .udp().own("shutdown", how).is_readable(False)),
    )],
    ("45: shutdown queues no packet",
     "Wine sock.c shutdown_completion_port",
     lambda w: w.tcp().own("shutdown", SEND).pends(5).own("shutdown", RECEIVE)
     .own("shutdown", BOTH)),
    ("47: the shutdown of a datagram socket refuses its receives",
     "Wine sock.c test_shutdown; .NET",
     lambda w: w.udp().own("shutdown", SEND).pends(5)
     .own("shutdown", RECEIVE).fails(WSAESHUTDOWN, 5)),
    ("48: the shutdown of a datagram socket may take effect late",
     "dotnet/runtime #47469: a receive after the shutdown now and then waits",
     lambda w: w.behaves(late_udp_shutdown=True).udp().own("shutdown", BOTH)
     .pends(5).no_packet().fails(WSAESHUTDOWN, 5)),
    *[(f"{number}: a socket that is {state.name} refuses receives without a packet",
       source,
       lambda w, state=state: w.tcp(state).fails(WSAENOTCONN, 5)
       .fails(WSAENOTCONN, 5, overlapped=False))
      for number, state, source in (
          (68, State.UNCONNECTED, "Wine sock.c test_completion_port"),
          (69, State.CONNECTING, "Wine sock.c test_connecting_socket (todo_wine)"),
          (70, State.LISTENING, "Wine afd.c test_recv, STATUS_INVALID_CONNECTION (todo_wine)"))],
    ("71: an unbound datagram socket refuses receives without a packet",
     "Wine afd.c test_recv, STATUS_INVALID_PARAMETER; sock.c test_connect_udp (todo_wine)",
     lambda w: w.udp(is_bound=False).fails(WSAEINVAL, 5).fails(WSAEINVAL, 5, call="WSARecvFrom")
     .fails(WSAEINVAL, 5, call="WSARecvMsg").fails(WSAEINVAL, 5, overlapped=False)),
]  # fmt: skip


@scenarios(PENDED, INLINE, CANCELLING, CLOSING, ENDING)
def test_a_receive_completes_as_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()


@pytest.mark.behaviour("1", "inventor-on-wine, io-completion.md")
def test_an_overlapped_written_to_before_its_packet_is_dequeued_is_noticed(
    winsock: Winsock,
) -> None:
    winsock.tcp().pends(5).peer("send", DATA)
    winsock.made[-1].overlapped.Internal = 0
    winsock.completes(SUCCESS, DATA)
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


@pytest.mark.parametrize("how", [RECEIVE, SEND, BOTH])
@pytest.mark.parametrize("state", [State.UNCONNECTED, State.LISTENING])
@pytest.mark.behaviour("46", "Wine sock.c test_shutdown")
def test_a_socket_without_a_connection_cannot_be_shut_down(
    winsock: Winsock, state: State, how: int
) -> None:
    with pytest.raises(OSError, match=str(WSAENOTCONN.value)):
        winsock.tcp(state).own("shutdown", how)


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.behaviour(
    "67", "Wine sock.c test_nonblocking_async_recv: 'always blocks when passed an overlapped'"
)
def test_a_socket_not_made_for_overlapped_receives_blocks_the_thread(
    winsock: Winsock, blocking: bool
) -> None:
    winsock.behaves(always_pends=True).tcp(associated=False, overlapped_io=False)
    winsock.own("setblocking", False).fails(WSAEWOULDBLOCK, 5, overlapped=False)
    winsock.own("setblocking", blocking)
    with pytest.raises(ThreadBlocked):
        winsock.pends(5)
    winsock.complains("a receive was submitted that blocks the thread")
    winsock.peer("send", DATA).succeeds(5, 5).holds(SUCCESS, 5)


@pytest.mark.behaviour("76", "Wine sock.c getsockopt SO_PROTOCOL_INFOW")
def test_the_description_of_the_provider_has_one_size(winsock: Winsock) -> None:
    sock = winsock.tcp().sockets[-1]
    assert len(sock.getsockopt(SOL_SOCKET, 0x2005, 1000)) == 628
    with pytest.raises(OSError, match=r"10014"):
        sock.getsockopt(SOL_SOCKET, 0x2005, 627)
