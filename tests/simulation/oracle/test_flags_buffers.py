"""What the flags of a call mean, and which buffers it fills."""

from __future__ import annotations

import pytest

from tests.simulation.behaviour import FlagsOut, WaitAll
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

from .calls import DATA, Scenario, Steps, Winsock, scenarios

SUCCESS, CANCELLED = NtStatus.SUCCESS, NtStatus.CANCELLED
WSAEINVAL, WSAEOPNOTSUPP = WinsockError.WSAEINVAL, WinsockError.WSAEOPNOTSUPP
OOB, PEEK = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK
WAITALL, PARTIAL = MsgFlag.MSG_WAITALL, MsgFlag.MSG_PARTIAL

URGENT: list[Scenario] = [
    ("49: an urgent byte that waits is a plain success of one byte",
     "Wine afd.c test_recv (todo_wine)",
     lambda w: w.tcp().peer("send_urgent", b"ab!").succeeds(1, 5, flags=OOB)
     .completes(SUCCESS, b"!").is_left(b"ab")),
    ("49: an urgent byte completes a pending receive with one byte",
     "Wine afd.c test_recv (todo_wine)",
     lambda w: w.tcp().pends(5, flags=OOB).peer("send_urgent", b"ab!")
     .completes(SUCCESS, b"!").is_left(b"ab")),
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
     lambda w: w.tcp(urgent_inline=True).peer("send", b"data")
     .peer("send_urgent", b"!").succeeds(5, 5).completes(SUCCESS, DATA)),
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
        (f"55: an overlapped peek leaves the data that waits, {kind}",
         "Wine afd.c test_recv; libuv src/win/udp.c",
         lambda w, kind=kind: getattr(w, kind)().peer("send", DATA)
         .succeeds(5, 5, flags=PEEK).completes(SUCCESS, DATA)
         .succeeds(5, 5, flags=PEEK).completes(SUCCESS, DATA)
         .succeeds(5, 5).completes(SUCCESS, DATA).pends(5)),
        (f"55: an overlapped peek that pends leaves the data, {kind}",
         "Wine afd.c test_recv; libuv src/win/udp.c",
         lambda w, kind=kind: getattr(w, kind)().pends(5, flags=PEEK).peer("send", DATA)
         .completes(SUCCESS, DATA).succeeds(5, 5).completes(SUCCESS, DATA).pends(5)),
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
     lambda w: w.tcp(blocking=True).peer("send", b"data").pends(6, flags=WAITALL)
     .peer("send", b"da").completes(SUCCESS, b"datada")),
    ("56: on a non-blocking socket, MSG_WAITALL may mean nothing",
     "not asserted for a non-blocking socket",
     lambda w: w.behaves(wait_all=WaitAll.IGNORED).tcp().peer("send", DATA)
     .succeeds(5, 6, flags=WAITALL).completes(SUCCESS, DATA)),
    ("56: on a non-blocking socket, MSG_WAITALL may be refused",
     "the documentation of MSG_WAITALL",
     lambda w: w.behaves(wait_all=WaitAll.REFUSED).tcp().peer("send", DATA)
     .fails(WSAEOPNOTSUPP, 6, flags=WAITALL)),
    ("56: on a non-blocking socket, MSG_WAITALL may wait; the end of the stream ends it",
     "the documentation of MSG_WAITALL: closed, cancelled or failed",
     lambda w: w.behaves(wait_all=WaitAll.WAITS).tcp().peer("send", DATA)
     .pends(6, flags=WAITALL).peer("send_end").completes(SUCCESS, DATA)),
    ("56: MSG_WAITALL that is cancelled has the bytes that came",
     "the documentation of MSG_WAITALL: closed, cancelled or failed",
     lambda w: w.behaves(wait_all=WaitAll.WAITS).tcp().peer("send", DATA)
     .pends(6, flags=WAITALL).cancels().completes(CANCELLED, DATA)),
]  # fmt: skip

BUFFERS: list[Scenario] = [
    ("59: a receive needs a buffer",
     "Wine sock.c test_empty_recv",
     lambda w: w.tcp().peer("send", DATA)
     .fails(WSAEINVAL).fails(WSAEINVAL, overlapped=False)
     .fails(WSAEINVAL, call="WSARecvFrom")
     .fails(WSAEINVAL, call="WSARecvFrom", overlapped=False).is_left(DATA)),
    ("60: a receive of no bytes waits for data and takes none",
     "Wine sock.c test_empty_recv",
     lambda w: w.tcp().pends(0).peer("send", DATA).completes(SUCCESS)
     .succeeds(0, 0).completes(SUCCESS).is_left(DATA)),
    ("61: several buffers are filled in order and the rest is untouched",
     "Wine afd.c test_recv; Wine sock.c test_WSARecv",
     lambda w: w.tcp().pends(3, 0, 4, 2).peer("send", DATA).completes(SUCCESS, DATA)),
    *[(f"62: the array of buffers may be gone after the call, {kind}, {call}",
       "Wine afd.c test_recv: it 'need not remain valid'",
       lambda w, kind=kind, call=call: getattr(w, kind)().pends(5, call=call).spoils_wsabufs()
       .peer("send", DATA).completes(SUCCESS, DATA))
      for kind, call in (("tcp", "WSARecv"), ("udp", "WSARecv"), ("udp", "WSARecvMsg"))],
    ("63: several receives are filled in order",
     "Wine sock.c test_simultaneous_async_recv",
     lambda w: w.tcp().pends(4).pends(4).peer("send", b"01234567")
     .completes(SUCCESS, b"0123", which=0).completes(SUCCESS, b"4567", which=1)),
]  # fmt: skip


@scenarios([*URGENT, *FLAGS, *BUFFERS])
def test_flags_and_buffers_mean_what_they_do_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()


WRITTEN = {
    FlagsOut.LEFT: set(),
    FlagsOut.ON_SUCCESS: {"succeeds"},
    FlagsOut.ZEROED: {"succeeds", "pends", "fails", "would block"},
}


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.behaviour(
    "58", "libuv src/win/winsock.c uv__wsarecv_workaround; ReactOS msafd sndrcv.c"
)
def test_any_call_may_write_the_flags(winsock: Winsock, flags_out: FlagsOut) -> None:
    winsock.behaves(flags_out=flags_out)
    receives = {
        "succeeds": winsock.tcp().peer("send", DATA).receive(5, flags=PEEK),
        "pends": winsock.tcp().receive(5, flags=PEEK),
        "fails": winsock.tcp().peer("reset").receive(5, flags=PEEK),
        "would block": winsock.tcp().receive(5, flags=PEEK, overlapped=False),
    }
    written = {what for what, receive in receives.items() if receive.flags[0] == 0}
    assert written == WRITTEN[flags_out]
    assert all(receives[what].flags[0] == PEEK for what in receives.keys() - written)


@pytest.mark.behaviour("64", "Wine sock.c test_read_events")
def test_a_buffer_that_is_not_memory_of_the_program_is_refused(winsock: Winsock) -> None:
    winsock.tcp().peer("send", DATA).fails(WinsockError.WSAEFAULT, 5, length=0xDEADBEEF)
    fault = "is not, or no longer, memory of the package or an exported buffer"
    winsock.complains(f"the buffer of a receive {fault}").is_left(DATA)
