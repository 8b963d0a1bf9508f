"""What the flags of a call mean, and which buffers it fills."""

from __future__ import annotations

import pytest

from tests.simulation.behaviour import FlagsOut, Partial, WaitAll
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

from .calls import Native, Receive

PENDING = WinsockError.WSA_IO_PENDING
PEEK, WAITALL, PARTIAL = MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL, MsgFlag.MSG_PARTIAL


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.behaviour("55", "Wine afd.c test_recv; libuv src/win/udp.c")
def test_an_overlapped_peek_leaves_the_data(call: Native, waiting: bool) -> None:
    for sock in (call.stream(), call.datagrams()):
        if waiting:
            sock.peer.send(b"data")
        receive = call.receive(sock, 4, flags=PEEK)
        if not waiting:
            sock.peer.send(b"data")
        assert call.dequeue() is receive
        for flags in (PEEK, 0):
            again = call.receive(sock, 4, flags=flags)
            assert call.dequeue() is again
            assert again.contents == receive.contents == [b"data"]


@pytest.mark.behaviour("56", "Wine afd.c test_recv (todo_wine)")
def test_on_a_blocking_socket_waitall_waits_for_all(call: Native) -> None:
    sock = call.stream()
    sock.setblocking(True)
    sock.peer.send(b"data")
    receive = call.receive(sock, 6, flags=WAITALL)
    assert receive.code == PENDING
    sock.peer.send(b"da")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 6)


@pytest.mark.parametrize("answer", WaitAll)
@pytest.mark.behaviour(
    "56", "not asserted for a non-blocking socket; refused, says the documentation"
)
def test_on_a_non_blocking_socket_waitall_may_mean_one_thing_or_another(
    call: Native, answer: WaitAll
) -> None:
    call.simulation.behaviour.wait_all = answer
    sock = call.stream()
    sock.peer.send(b"data")
    receive = call.receive(sock, 6, flags=WAITALL)
    if answer is WaitAll.REFUSED:
        assert receive.code == WinsockError.WSAEOPNOTSUPP
    elif answer is WaitAll.IGNORED:
        assert receive.code == 0
    else:
        assert receive.code == PENDING


@pytest.mark.parametrize("ending", ["end", "cancel"])
@pytest.mark.behaviour("56", "the documentation of MSG_WAITALL: closed, cancelled or failed")
def test_waitall_cut_short_has_the_bytes_that_came(call: Native, ending: str) -> None:
    call.simulation.behaviour.wait_all = WaitAll.WAITS
    sock = call.stream()
    sock.peer.send(b"data")
    receive = call.receive(sock, 6, flags=WAITALL)
    if ending == "end":
        sock.peer.send_end()
    else:
        assert call.cancel(sock, receive)
    assert call.dequeue() is receive
    status = NtStatus.SUCCESS if ending == "end" else NtStatus.CANCELLED
    assert receive.iosb == (status, 4)


@pytest.mark.parametrize("answer", Partial)
@pytest.mark.behaviour("57", "no test that was read asserts it")
def test_partial_may_mean_nothing_or_be_refused(call: Native, answer: Partial) -> None:
    call.simulation.behaviour.partial = answer
    for sock in (call.stream(), call.datagrams()):
        sock.peer.send(b"data")
        receive = call.receive(sock, 6, flags=PARTIAL)
        assert receive.code == (0 if answer is Partial.IGNORED else WinsockError.WSAEOPNOTSUPP)


def outcomes(call: Native, flags: int) -> dict[str, Receive]:
    """Make calls that succeed, pend and fail."""
    ready, waiting, reset, empty = (call.stream() for _ in range(4))
    ready.peer.send(b"data")
    reset.peer.reset()
    return {
        "succeeds": call.receive(ready, 4, flags=flags),
        "pends": call.receive(waiting, 4, flags=flags),
        "fails": call.receive(reset, 4, flags=flags),
        "would block": call.receive(empty, 4, flags=flags, overlapped=False),
    }


WRITTEN = {
    FlagsOut.LEFT: set(),
    FlagsOut.ON_SUCCESS: {"succeeds"},
    FlagsOut.ZEROED: {"succeeds", "pends", "fails", "would block"},
}


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.behaviour(
    "58", "libuv src/win/winsock.c uv__wsarecv_workaround; ReactOS msafd sndrcv.c"
)
def test_any_call_may_write_the_flags(call: Native, flags_out: FlagsOut) -> None:
    call.simulation.behaviour.flags_out = flags_out
    for what, receive in outcomes(call, PEEK).items():
        assert receive.flags == (0 if what in WRITTEN[flags_out] else PEEK), what


@pytest.mark.behaviour("59", "Wine sock.c test_empty_recv")
def test_a_receive_needs_a_buffer(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data")
    for overlapped in (True, False):
        assert call.receive(sock, overlapped=overlapped).code == WinsockError.WSAEINVAL
        assert call.receive_from(sock, overlapped=overlapped).code == WinsockError.WSAEINVAL
    assert call.dequeue() is None
    assert sock.peer.waiting == b"data"


@pytest.mark.behaviour("60", "Wine sock.c test_empty_recv")
def test_a_receive_of_no_bytes_waits_for_data_and_takes_none(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 0)
    assert receive.code == PENDING
    sock.peer.send(b"data!")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 0)
    again = call.receive(sock, 0)
    assert (again.code, again.received) == (0, 0)
    assert sock.peer.waiting == b"data!"


@pytest.mark.behaviour("61", "Wine afd.c test_recv; Wine sock.c test_WSARecv")
def test_several_buffers_are_filled_in_order_and_the_rest_is_untouched(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 3, 0, 4, 2)
    sock.peer.send(b"data!")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert receive.contents == [b"dat", b"", b"a!\0\0", b"\0\0"]


@pytest.mark.behaviour("62", "Wine afd.c test_recv: it 'need not remain valid'")
def test_the_array_of_buffers_may_be_gone_after_the_call(call: Native) -> None:
    streams = call.stream(), call.datagrams()
    for sock, receive in zip(
        (*streams, streams[1]),
        (
            call.receive(streams[0], 5),
            call.receive(streams[1], 5),
            call.receive_message(streams[1], 5),
        ),
        strict=True,
    ):
        receive.spoil_wsabufs()
        sock.peer.send(b"data!")
        assert call.dequeue() is receive
        assert receive.contents == [b"data!"]


@pytest.mark.behaviour("63", "Wine sock.c test_simultaneous_async_recv")
def test_several_receives_are_filled_in_order(call: Native) -> None:
    sock = call.stream()
    first, second = (call.receive(sock, 16) for _ in range(2))
    sock.peer.send(b"-- Lorem ipsum dolor sit amet -\0")
    assert [call.dequeue(), call.dequeue()] == [first, second]
    assert first.contents + second.contents == [b"-- Lorem ipsum d", b"olor sit amet -\0"]


@pytest.mark.behaviour("64", "Wine sock.c test_read_events")
def test_a_buffer_that_is_not_memory_of_the_program_is_refused(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = Receive(call.kernel, (5,), 0, 0)
    receive.wsabufs[0].len = 0xDEADBEEF
    returned = call.simulation.ws2_32.WSARecv(
        *(sock.fileno(), receive.wsabufs, 1, receive.lp_received),
        *(receive.lp_flags, receive.overlapped, None),
    )
    assert returned == -1
    assert call.simulation.ws2_32.WSAGetLastError() == WinsockError.WSAEFAULT
    fault = "is not, or no longer, memory of the package or an exported buffer"
    call.expect_complaint(f"the buffer of a receive {fault}")
    assert sock.peer.waiting == b"data!"
