"""How a connection ends: the end of the stream, a reset, and one's own shutdown."""

from __future__ import annotations

import socket

import pytest

from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import UNTOUCHED, Native

RECEIVE, SEND, BOTH = socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR


@pytest.mark.behaviour("35", "Wine sock.c test_completion_port, the reset before the call")
def test_a_reset_before_the_call_fails_it_without_a_packet(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"lost")
    sock.peer.reset()
    receive = call.receive(sock, 5)
    assert receive.code == WinsockError.WSAECONNRESET
    assert receive.received == UNTOUCHED
    assert call.dequeue() is None
    assert sock.peer.waiting == b""


@pytest.mark.behaviour("36", "Wine sock.c test_tcp_reset, test_completion_port, test_WSARecv")
def test_a_reset_ends_a_pending_receive(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.peer.reset()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CONNECTION_RESET, 0)
    assert call.dequeue() is None


@pytest.mark.behaviour("37", "Wine sock.c test_tcp_reset")
def test_after_a_reset_every_receive_fails_inline(call: Native) -> None:
    sock = call.stream()
    call.receive(sock, 5)
    sock.peer.reset()
    assert call.dequeue() is not None
    for _ in range(3):
        assert call.receive(sock, 5).code == WinsockError.WSAECONNRESET
    assert call.dequeue() is None


@pytest.mark.behaviour("38", "Wine sock.c test_shutdown (todo_wine)")
def test_a_send_after_the_end_that_is_answered_by_a_reset_aborts(call: Native) -> None:
    sock = call.stream()
    sock.peer.send_end()
    sock.peer.reset(NtStatus.CONNECTION_ABORTED)
    assert call.receive(sock, 5).code == WinsockError.WSAECONNABORTED


@pytest.mark.behaviour("39", "Wine sock.c test_shutdown")
def test_the_end_of_the_stream_is_reported_again_and_again(call: Native) -> None:
    sock = call.stream()
    sock.peer.send_end()
    for _ in range(3):
        receive = call.receive(sock, 5)
        assert receive.code == 0
        assert call.dequeue() is receive
        assert receive.iosb == (NtStatus.SUCCESS, 0)


@pytest.mark.behaviour("40", "Wine sock.c test_shutdown")
def test_the_end_of_the_stream_ends_a_pending_receive_with_nothing(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.peer.send_end()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 0)


@pytest.mark.behaviour("41", "Wine afd.c test_poll_reset")
def test_a_reset_makes_the_socket_readable(call: Native) -> None:
    sock = call.stream()
    assert not sock.peer.is_readable()
    sock.peer.reset()
    assert sock.peer.is_readable()


@pytest.mark.parametrize("how", [RECEIVE, BOTH])
@pytest.mark.behaviour("42", "Wine sock.c test_shutdown")
def test_a_pending_receive_survives_the_shutdown_and_gets_later_data(
    call: Native, how: int
) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.shutdown(how)
    assert call.dequeue() is None
    sock.peer.send(b"data!")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)


@pytest.mark.parametrize("overlapped", [True, False])
@pytest.mark.parametrize("how", [RECEIVE, BOTH])
@pytest.mark.behaviour(
    "43", "Wine sock.c test_shutdown; Wine afd.c test_recv, STATUS_PIPE_DISCONNECTED"
)
def test_a_receive_after_the_shutdown_is_refused(call: Native, how: int, overlapped: bool) -> None:
    sock = call.stream()
    sock.peer.send(b"data!")
    sock.shutdown(how)
    assert call.receive(sock, 5, overlapped=overlapped).code == WinsockError.WSAESHUTDOWN
    assert call.dequeue() is None


@pytest.mark.parametrize("how", [RECEIVE, BOTH])
@pytest.mark.behaviour("44", "Wine sock.c test_WSAPoll; Wine afd.c test_poll")
def test_ones_own_shutdown_does_not_make_the_socket_readable(call: Native, how: int) -> None:
    for sock in (call.stream(), call.datagrams()):
        sock.shutdown(how)
        assert not sock.peer.is_readable()


@pytest.mark.parametrize("how", [RECEIVE, SEND, BOTH])
@pytest.mark.behaviour("45", "Wine sock.c shutdown_completion_port")
def test_a_shutdown_queues_no_packet(call: Native, how: int) -> None:
    sock = call.stream()
    sock.shutdown(how)
    assert call.dequeue() is None


@pytest.mark.behaviour("47", "Wine sock.c test_shutdown; .NET")
def test_the_shutdown_of_a_datagram_socket_refuses_its_receives(call: Native) -> None:
    sock = call.datagrams()
    sock.shutdown(SEND)
    assert call.receive(sock, 5).code == WinsockError.WSA_IO_PENDING
    sock.shutdown(RECEIVE)
    assert call.receive(sock, 5).code == WinsockError.WSAESHUTDOWN


@pytest.mark.behaviour(
    "48", "dotnet/runtime #47469: a receive after the shutdown now and then waits"
)
def test_the_shutdown_of_a_datagram_socket_may_take_effect_late(call: Native) -> None:
    call.simulation.behaviour.late_udp_shutdown = True
    sock = call.datagrams()
    sock.shutdown(BOTH)
    assert call.receive(sock, 5).code == WinsockError.WSA_IO_PENDING
    assert call.dequeue() is None
    assert call.receive(sock, 5).code == WinsockError.WSAESHUTDOWN
