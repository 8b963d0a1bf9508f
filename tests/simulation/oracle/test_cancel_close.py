"""Cancelling a receive, and closing the socket under it."""

from __future__ import annotations

from tests.simulation import CancelAnswer
from tests.simulation.behaviour import WINE_HANDLES_CLOSED
from trio_wsarecv._winsock.codes import NtStatus

from .calls import DATA, Scenario, Steps, Winsock, scenarios

SUCCESS, CANCELLED = NtStatus.SUCCESS, NtStatus.CANCELLED
CONNECTION_ABORTED = NtStatus.CONNECTION_ABORTED

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
    ("34: a cancellation that comes too late may be accepted",
     "Go execIO; Trio test_too_late_to_cancel",
     lambda w: w.behaves(cancel=CancelAnswer.COMPLETES, prompt=False).tcp().pends(5)
     .peer("send", DATA).cancels().settles().completes(SUCCESS, DATA)),
    ("34: a cancellation that comes too late may find nothing",
     "Go execIO; Trio test_too_late_to_cancel",
     lambda w: w.behaves(cancel=CancelAnswer.NOT_FOUND, prompt=False).tcp().pends(5)
     .peer("send", DATA).cancels(found=False).settles().completes(SUCCESS, DATA)),
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
    ("27: closing a connection aborts its receive",
     "Wine sock.c iocp_async_read_closesocket, iocp_async_closesocket (todo_wine)",
     lambda w: w.tcp().pends(5).closes().completes(CONNECTION_ABORTED)),
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
    ("81: closing during a receive may reset the connection",
     "no test that was read asserts it; libuv #3034 reports a reset",
     lambda w: w.tcp().pends(5).closes().completes(CONNECTION_ABORTED).peer_saw("reset")),
    ("81: closing during a receive may end the stream",
     "no test that was read asserts it",
     lambda w: w.behaves(closing_resets=False).tcp().pends(5).closes()
     .completes(CONNECTION_ABORTED).peer_saw("end")),
]  # fmt: skip


@scenarios([*CANCELLING, *CLOSING])
def test_cancelling_and_closing_end_receives_as_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()
