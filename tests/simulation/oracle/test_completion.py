"""Receives that wait: what their memory holds, and when."""

from __future__ import annotations

import threading

import pytest

from tests.simulation.behaviour import IosbWrite
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import KEY, UNTOUCHED, Native

PENDING = WinsockError.WSA_IO_PENDING


@pytest.mark.behaviour("1", "Wine afd.c test_async_cancel_on_handle_close (todo_wine)")
@pytest.mark.behaviour(
    "1", "measured for TCP on a Windows 11 VM: inventor-on-wine, io-completion.md"
)
def test_on_a_port_the_result_is_written_when_the_packet_is_dequeued(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.peer.send(b"data!")
    assert receive.contents == [b"data!"]
    assert receive.iosb == (NtStatus.PENDING, UNTOUCHED)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)


@pytest.mark.behaviour("1", "the same")
def test_what_is_written_to_an_overlapped_before_its_packet_is_dequeued_is_noticed(
    call: Native,
) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.peer.send(b"data!")
    receive.overlapped.Internal = 0
    assert call.dequeue() is receive
    call.expect_complaint("an OVERLAPPED was written to before its packet was dequeued")


@pytest.mark.behaviour("1", "the same: CancelIoEx returns with the operation still pending")
def test_on_a_port_a_cancelled_receive_is_pending_until_its_packet_is_dequeued(
    call: Native,
) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    assert call.cancel(sock, receive)
    assert receive.iosb == (NtStatus.PENDING, UNTOUCHED)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CANCELLED, 0)


@pytest.mark.behaviour("1", "Wine, which does not do so yet")
def test_another_system_writes_the_result_at_completion(call: Native) -> None:
    call.simulation.behaviour.iosb = IosbWrite.AT_COMPLETION
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.peer.send(b"data!")
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert call.dequeue() is receive


@pytest.mark.behaviour("2", "Wine sock.c test_nonblocking_async_recv")
def test_a_receive_that_waits_is_pending_and_its_byte_count_untouched(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    assert receive.code == PENDING
    assert receive.iosb == (NtStatus.PENDING, UNTOUCHED)
    assert receive.received == UNTOUCHED
    assert call.dequeue() is None


@pytest.mark.behaviour("7", "Wine sock.c test_AcceptEx, test_connecting_socket")
def test_a_refused_call_leaves_the_status_pending(call: Native) -> None:
    sock = call.stream()
    sock.peer.reset()
    receive = call.receive(sock, 5)
    assert receive.code == WinsockError.WSAECONNRESET
    assert receive.iosb == (NtStatus.PENDING, UNTOUCHED)
    assert call.dequeue() is None


@pytest.mark.behaviour("8", "Wine afd.c test_recv: failed ioctls")
def test_a_refused_call_may_leave_the_status_untouched(call: Native) -> None:
    call.simulation.behaviour.left_by_failure = None
    sock = call.stream()
    sock.shutdown(0)
    receive = call.receive(sock, 5)
    assert receive.code == WinsockError.WSAESHUTDOWN
    assert receive.iosb == (UNTOUCHED, UNTOUCHED)
    assert call.dequeue() is None


@pytest.mark.behaviour(
    "9", "Wine sock.c iocp_async_read_thread; Wine afd.c test_async_thread_termination"
)
def test_a_receive_survives_the_thread_that_submitted_it(call: Native) -> None:
    sock = call.stream()
    submitted = []
    thread = threading.Thread(target=lambda: submitted.append(call.receive(sock, 100)))
    thread.start()
    thread.join()
    (receive,) = submitted
    assert receive.code == PENDING
    assert call.dequeue() is None
    sock.peer.send(b"Hello World!")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 12)


@pytest.mark.behaviour(
    "16", "Wine sock.c test_completion_port: a second GetQueuedCompletionStatus times out"
)
def test_a_receive_has_one_packet(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.peer.send(b"data!")
    assert call.dequeue() is receive
    assert call.dequeue() is None


@pytest.mark.parametrize("kind", ["stream", "datagrams"])
@pytest.mark.behaviour("65", "Wine sock.c test_timeout")
def test_a_receive_timeout_does_not_touch_an_overlapped_receive(call: Native, kind: str) -> None:
    sock = call.stream() if kind == "stream" else call.datagrams()
    sock.setsockopt(0xFFFF, 0x1006, 100)  # SO_RCVTIMEO
    receive = call.receive(sock, 1)
    assert receive.code == PENDING
    assert call.dequeue() is None
    sock.peer.send(b"a")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 1)


@pytest.mark.behaviour("75", "Wine afd.c test_poll; Wine sock.c test_read_events")
def test_data_that_goes_to_a_pending_receive_does_not_make_the_socket_readable(
    call: Native,
) -> None:
    for sock in (call.stream(), call.datagrams()):
        call.simulation.behaviour.prompt = False
        call.receive(sock, 5)
        sock.peer.send(b"data!")
        assert not sock.peer.is_readable()
        call.simulation.settle()
        assert not sock.peer.is_readable()
        sock.peer.send(b"more")
        assert sock.peer.is_readable()


@pytest.mark.behaviour("76", "Wine sock.c test_completion_port")
def test_a_port_can_be_associated_with_data_waiting(call: Native) -> None:
    sock = call.stream(associated=False)
    sock.peer.send(b"data!")
    sock.peer.associate(call.port, KEY)
    assert sock.peer.is_readable()
    assert call.dequeue() is None
    receive = call.receive(sock, 5)
    assert receive.code == 0
    assert call.dequeue() is receive


@pytest.mark.behaviour("76", "Wine sock.c getsockopt SO_PROTOCOL_INFOW")
def test_the_description_of_the_provider_has_one_size(call: Native) -> None:
    sock = call.stream()
    assert len(sock.getsockopt(0xFFFF, 0x2005, 1000)) == 628
    with pytest.raises(OSError, match=r"10014"):
        sock.getsockopt(0xFFFF, 0x2005, 627)
