"""Receives that complete before the call returns, and whether a packet follows."""

from __future__ import annotations

import pytest

from tests.simulation.behaviour import FlagsOut, InlineIosb
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import UNTOUCHED, Native

PENDING = WinsockError.WSA_IO_PENDING


@pytest.mark.behaviour("3", "Wine sock.c test_completion_port, the immediate read")
@pytest.mark.behaviour("16", "Wine sock.c test_completion_port")
def test_inline_success_queues_one_packet_with_the_same_bytes(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10)
    assert (receive.code, receive.received) == (0, 5)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert receive.contents == [b"data!" + bytes(5)]
    assert call.dequeue() is None


@pytest.mark.behaviour("4", "Wine afd.c test_recv, 'synchronous return'")
def test_inline_success_with_an_event_has_its_result_at_return(call: Native) -> None:
    call.simulation.behaviour.inline_iosb = InlineIosb.LEFT_PENDING
    sock = call.stream(associated=False)
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10, event=call.event())
    assert receive.code == 0
    assert receive.iosb == (NtStatus.SUCCESS, 5)


@pytest.mark.parametrize("iosb", InlineIosb)
@pytest.mark.behaviour(
    "4", "msquic zeroes Internal by hand; pipes measured in inventor-on-wine io-completion.md"
)
def test_inline_success_on_a_port_may_have_its_result_at_return(
    call: Native, iosb: InlineIosb
) -> None:
    call.simulation.behaviour.inline_iosb = iosb
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10)
    written = iosb is InlineIosb.WRITTEN
    assert receive.iosb == ((NtStatus.SUCCESS, 5) if written else (NtStatus.PENDING, UNTOUCHED))
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)


@pytest.mark.behaviour("5", "Wine sock.c test_completion_port, the graceful shutdown")
def test_the_end_of_the_stream_is_an_inline_success_of_no_bytes(call: Native) -> None:
    sock = call.stream()
    sock.peer.send_end()
    receive = call.receive(sock, 10)
    assert (receive.code, receive.received) == (0, 0)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 0)
    assert call.dequeue() is None


@pytest.mark.parametrize("pends", [False, True])
@pytest.mark.behaviour(
    "6", "Wine sock.c test_nonblocking_async_recv: 'usually this does return 0 (not reliably)'"
)
def test_waiting_data_may_be_reported_as_pending(call: Native, pends: bool) -> None:
    call.simulation.behaviour.always_pends = pends
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10)
    assert receive.code == (PENDING if pends else 0)
    assert receive.received == (UNTOUCHED if pends else 5)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert call.dequeue() is None


@pytest.mark.behaviour(
    "14", "Wine ntdll file.c test_file_completion_information; sock.c test_connect_completion_port"
)
def test_in_skip_mode_inline_success_queues_no_packet(call: Native) -> None:
    sock = call.stream(skips=True)
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10)
    assert (receive.code, receive.received) == (0, 5)
    assert call.dequeue() is None
    pended = call.receive(sock, 10)
    assert pended.code == PENDING
    sock.peer.send(b"more")
    assert call.dequeue() is pended
    assert pended.iosb == (NtStatus.SUCCESS, 4)
    assert call.dequeue() is None


@pytest.mark.behaviour("14", "Wine ntdll file.c test_file_completion_information")
def test_in_skip_mode_what_is_reported_as_pending_queues_its_packet(call: Native) -> None:
    call.simulation.behaviour.always_pends = True
    sock = call.stream(skips=True)
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10)
    assert receive.code == PENDING
    assert call.dequeue() is receive


@pytest.mark.behaviour(
    "14", "Wine ntdll file.c test_file_completion_information: it cannot be cleared"
)
def test_skip_mode_cannot_be_taken_back_and_is_shared_by_duplicates(call: Native) -> None:
    sock = call.stream(skips=True)
    assert call.simulation.kernel32.SetFileCompletionNotificationModes(sock.fileno(), 0)
    duplicate = sock.dup()
    sock.peer.send(b"data!")
    assert call.receive(duplicate, 10).code == 0
    assert call.dequeue() is None
    duplicate.close()


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("status", [NtStatus.SUCCESS, NtStatus.RECEIVE_PARTIAL])
@pytest.mark.behaviour(
    "14", "the documentation of SetFileCompletionNotificationModes, and of lpFlags"
)
def test_in_skip_mode_the_out_parameters_are_the_result(
    call: Native, flags_out: FlagsOut, status: NtStatus
) -> None:
    behaviour = call.simulation.behaviour
    behaviour.inline_iosb = InlineIosb.LEFT_PENDING
    behaviour.flags_out = flags_out
    sock = call.stream(skips=True)
    sock.peer.send(b"data!", status)
    receive = call.receive(sock, 10)
    assert (receive.code, receive.received) == (0, 5)
    told = status and flags_out is not FlagsOut.LEFT
    assert receive.flags == (0x8000 if told else 0)
    assert receive.iosb == (NtStatus.PENDING, UNTOUCHED)


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.behaviour("13", "Wine sock.c test_connect_completion_port")
def test_an_event_with_the_low_bit_set_suppresses_the_packet(call: Native, waiting: bool) -> None:
    sock = call.stream()
    if waiting:
        sock.peer.send(b"data!")
    receive = call.receive(sock, 10, event=call.event() | 1)
    assert receive.code == (0 if waiting else PENDING)
    if not waiting:
        sock.peer.send(b"data!")
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert call.dequeue() is None


@pytest.mark.behaviour("13", "Wine sock.c test_connect_completion_port")
def test_an_event_without_the_low_bit_leaves_the_packet(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 10, event=call.event())
    sock.peer.send(b"data!")
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert call.dequeue() is receive


@pytest.mark.behaviour("12", "Wine sock.c test_WSARecv")
def test_a_completion_routine_on_an_associated_socket_is_refused(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive(sock, 10, routine=object())
    assert receive.code == WinsockError.WSAEINVAL
    assert call.dequeue() is None
    assert sock.peer.waiting == b"data!"
