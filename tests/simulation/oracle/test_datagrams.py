"""Datagrams: what does not fit, what is empty, who sent it, and what ICMP brings."""

from __future__ import annotations

import pytest

from tests.simulation.behaviour import InlineIosb, TooLong
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import SENDER, UNTOUCHED, Native

PENDING = WinsockError.WSA_IO_PENDING
WSAEMSGSIZE = WinsockError.WSAEMSGSIZE
OVERFLOW = NtStatus.BUFFER_OVERFLOW
LONG = b"0123456789"


@pytest.mark.behaviour(
    "17", "Go udpsock_test.go TestUDPReadSizeError, fd_windows.go execIO; .NET; Wine"
)
def test_a_waiting_datagram_that_does_not_fit_is_reported_as_pending(call: Native) -> None:
    sock = call.datagrams()
    sock.peer.send(LONG)
    receive = call.receive(sock, 4)
    assert receive.code == PENDING
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 4)
    assert receive.contents == [b"0123"]
    assert call.dequeue() is None
    assert sock.peer.waiting == []


@pytest.mark.behaviour(
    "17", "libuv winsock.c, and zio PR #733, which see WSAEMSGSIZE and then the packet"
)
def test_a_waiting_datagram_that_does_not_fit_may_fail_the_call_and_queue_its_packet(
    call: Native,
) -> None:
    call.simulation.behaviour.too_long = TooLong.INLINE
    sock = call.datagrams()
    sock.peer.send(LONG)
    receive = call.receive(sock, 4)
    assert receive.code == WSAEMSGSIZE
    assert receive.iosb == (OVERFLOW, 4)
    assert call.dequeue() is receive
    assert call.dequeue() is None


@pytest.mark.behaviour("17", "libuv winsock.c, which sees the status of the system call")
def test_in_skip_mode_a_datagram_that_does_not_fit_inline_queues_nothing(call: Native) -> None:
    call.simulation.behaviour.too_long = TooLong.INLINE
    sock = call.datagrams(skips=True)
    sock.peer.send(LONG)
    receive = call.receive(sock, 4)
    assert receive.code == WSAEMSGSIZE
    assert receive.contents == [b"0123"]
    assert call.dequeue() is None


@pytest.mark.behaviour("18", "Wine afd.c test_recv")
def test_a_datagram_that_does_not_fit_ends_a_pending_receive_with_its_beginning(
    call: Native,
) -> None:
    sock = call.datagrams()
    receive = call.receive(sock, 2, 2)
    sock.peer.send(LONG)
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 4)
    assert receive.contents == [b"01", b"23"]
    sock.peer.send(b"next")
    receive = call.receive(sock, 4)
    assert receive.contents == [b"next"]


@pytest.mark.behaviour("19", "Wine afd.c test_recv, with an event")
def test_with_an_event_a_datagram_that_does_not_fit_has_its_result_at_return(
    call: Native,
) -> None:
    call.simulation.behaviour.too_long = TooLong.INLINE
    call.simulation.behaviour.overflow_iosb = InlineIosb.LEFT_PENDING
    sock = call.datagrams(associated=False)
    sock.peer.send(LONG)
    receive = call.receive(sock, 4, event=call.event())
    assert receive.code == WSAEMSGSIZE
    assert receive.iosb == (OVERFLOW, 4)


@pytest.mark.parametrize("iosb", InlineIosb)
@pytest.mark.behaviour("19", "nobody asserts it for a port without an event")
def test_on_a_port_a_datagram_that_does_not_fit_may_have_its_result_at_return(
    call: Native, iosb: InlineIosb
) -> None:
    call.simulation.behaviour.too_long = TooLong.INLINE
    call.simulation.behaviour.overflow_iosb = iosb
    sock = call.datagrams()
    sock.peer.send(LONG)
    receive = call.receive(sock, 4)
    assert receive.code == WSAEMSGSIZE
    written = iosb is InlineIosb.WRITTEN
    assert receive.iosb == ((OVERFLOW, 4) if written else (NtStatus.PENDING, UNTOUCHED))
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 4)


@pytest.mark.parametrize("too_long", TooLong)
@pytest.mark.behaviour("20", "Go udpsock_test.go TestUDPZeroByteBuffer; zio PR #733")
def test_a_receive_of_no_bytes_takes_the_datagram(call: Native, too_long: TooLong) -> None:
    call.simulation.behaviour.too_long = too_long
    sock = call.datagrams()
    sock.peer.send(LONG)
    receive = call.receive(sock, 0)
    assert receive.code == (PENDING if too_long is TooLong.PENDS else WSAEMSGSIZE)
    assert call.dequeue() is receive
    assert receive.iosb == (OVERFLOW, 0)
    assert sock.peer.waiting == []


@pytest.mark.behaviour("20", "Go udpsock_test.go TestUDPZeroByteBuffer")
def test_without_overlapped_a_receive_of_no_bytes_takes_the_datagram(call: Native) -> None:
    sock = call.datagrams()
    sock.peer.send(LONG)
    assert call.receive(sock, 0, overlapped=False).code == WSAEMSGSIZE
    assert sock.peer.waiting == []


@pytest.mark.behaviour("21", "Go udpsock_test.go TestUDPZeroBytePayload")
def test_an_empty_datagram_is_a_success_of_no_bytes(call: Native) -> None:
    sock = call.datagrams()
    sock.peer.send(b"", SENDER)
    receive = call.receive_from(sock, 5)
    assert (receive.code, receive.received) == (0, 0)
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 0)
    assert receive.sender == SENDER


@pytest.mark.behaviour("72", "Wine sock.c test_tcp_sendto_recvfrom, simple_mixed_client")
def test_a_connection_leaves_the_senders_address_and_its_size_alone(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data!data!")
    for overlapped in (True, False):
        receive = call.receive_from(sock, 5, overlapped=overlapped, sender_size=100)
        assert receive.code == 0
        assert receive.sender_size == 100
        assert receive.sender == bytes(100)


@pytest.mark.parametrize("overlapped", [True, False])
@pytest.mark.behaviour("73", "Wine sock.c test_UDP (todo_wine)")
def test_too_little_room_for_the_address_fails_the_call_and_keeps_the_datagram(
    call: Native, overlapped: bool
) -> None:
    sock = call.datagrams()
    sock.peer.send(b"data!", SENDER)
    receive = call.receive_from(sock, 5, overlapped=overlapped, sender_size=1)
    assert receive.code == WinsockError.WSAEFAULT
    assert receive.sender == b"\0"
    assert call.dequeue() is None
    receive = call.receive_from(sock, 5, overlapped=overlapped, sender_size=16)
    assert receive.code == 0
    assert receive.contents == [b"data!"]
    assert receive.sender == SENDER


ICMP = {
    NtStatus.PORT_UNREACHABLE: WinsockError.WSAECONNRESET,
    NtStatus.HOPLIMIT_EXCEEDED: WinsockError.WSAENETRESET,
}


@pytest.mark.parametrize("status", ICMP)
@pytest.mark.behaviour("74", "libuv src/win/udp.c")
def test_an_icmp_message_fails_one_call_without_a_packet(call: Native, status: NtStatus) -> None:
    sock = call.datagrams()
    sock.peer.send_error(status)
    assert call.receive(sock, 5).code == ICMP[status]
    assert call.dequeue() is None
    assert call.receive(sock, 5).code == PENDING


@pytest.mark.parametrize("status", ICMP)
@pytest.mark.behaviour("74", "CPython windows_events finish_socket_func, ERROR_PORT_UNREACHABLE")
def test_an_icmp_message_ends_one_pending_receive(call: Native, status: NtStatus) -> None:
    sock = call.datagrams()
    receive = call.receive(sock, 5)
    sock.peer.send_error(status)
    assert call.dequeue() is receive
    assert receive.iosb == (status, 0)
    sock.peer.send(b"data!")
    assert call.receive(sock, 5).code == 0
