"""Receives without an ``OVERLAPPED``, and sockets that were not made for one."""

from __future__ import annotations

import pytest

from tests.simulation.errors import ThreadBlocked
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import UNTOUCHED, Native


@pytest.mark.behaviour("66", "Wine sock.c test_nonblocking_async_recv")
def test_without_overlapped_a_non_blocking_receive_does_not_wait(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5, overlapped=False)
    assert receive.code == WinsockError.WSAEWOULDBLOCK
    assert receive.iosb == (UNTOUCHED, UNTOUCHED)
    assert receive.received == UNTOUCHED


@pytest.mark.behaviour(
    "66", "Wine sock.c test_nonblocking_async_recv: overlapped, it pends all the same"
)
def test_a_non_blocking_socket_accepts_an_overlapped_receive_that_waits(call: Native) -> None:
    sock = call.stream()
    assert call.receive(sock, 5).code == WinsockError.WSA_IO_PENDING


@pytest.mark.behaviour("66", "Wine sock.c test_nonblocking_async_recv")
def test_without_overlapped_what_is_waiting_is_received_without_a_packet(call: Native) -> None:
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive(sock, 5, overlapped=False)
    assert (receive.code, receive.received) == (0, 5)
    assert receive.contents == [b"data!"]
    assert call.dequeue() is None


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.behaviour(
    "67", "Wine sock.c test_nonblocking_async_recv: 'always blocks when passed an overlapped'"
)
def test_a_socket_not_made_for_overlapped_receives_blocks_the_thread(
    call: Native, blocking: bool
) -> None:
    sock = call.stream(associated=False)
    sock.peer.overlapped_io = False
    sock.setblocking(blocking)
    with pytest.raises(ThreadBlocked):
        call.receive(sock, 5)
    call.expect_complaint("a receive was submitted that blocks the thread")
    sock.peer.send(b"data!")
    receive = call.receive(sock, 5)
    assert receive.code == 0
    assert receive.iosb == (NtStatus.SUCCESS, 5)


@pytest.mark.behaviour("67", "Wine sock.c test_nonblocking_async_recv")
def test_a_socket_not_made_for_overlapped_receives_serves_others(call: Native) -> None:
    sock = call.stream(associated=False)
    sock.peer.overlapped_io = False
    assert call.receive(sock, 5, overlapped=False).code == WinsockError.WSAEWOULDBLOCK
