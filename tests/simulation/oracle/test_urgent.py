"""Urgent bytes: ``MSG_OOB`` on a connection, and ``SO_OOBINLINE``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.behaviour import NoUrgent
from tests.simulation.sockets import SO_OOBINLINE, SOL_SOCKET
from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

if TYPE_CHECKING:
    from .calls import Native

OOB = MsgFlag.MSG_OOB
PENDING = WinsockError.WSA_IO_PENDING


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.behaviour("49", "Wine afd.c test_recv (todo_wine)")
def test_an_urgent_byte_is_a_plain_success_of_one_byte(call: Native, waiting: bool) -> None:
    sock = call.stream()
    if waiting:
        sock.peer.send_urgent(b"ab!")
    receive = call.receive(sock, 5, flags=OOB)
    if not waiting:
        sock.peer.send_urgent(b"ab!")
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 1)
    assert receive.contents == [b"!" + bytes(4)]
    assert sock.peer.waiting == b"ab"


@pytest.mark.behaviour("49", "libuv's and the driver kit's STATUS_RECEIVE_EXPEDITED")
def test_an_urgent_byte_may_have_a_status_of_its_own(call: Native) -> None:
    call.simulation.behaviour.urgent_status = NtStatus.RECEIVE_EXPEDITED
    sock = call.stream()
    sock.peer.send_urgent(b"!")
    receive = call.receive(sock, 5, flags=OOB)
    assert receive.code == 0
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.RECEIVE_EXPEDITED, 1)


@pytest.mark.behaviour("50", "Wine afd.c test_recv")
def test_an_ordinary_receive_passes_urgent_bytes_by(call: Native) -> None:
    sock = call.stream()
    sock.peer.send_urgent(b"!")
    receive = call.receive(sock, 5)
    assert receive.code == PENDING
    sock.peer.send(b"data!")
    assert call.dequeue() is receive
    assert receive.contents == [b"data!"]


@pytest.mark.behaviour("51", "Wine sock.c test_fionread_siocatmark, test_oob_events (todo_wine)")
def test_several_urgent_bytes_are_received_one_by_one(call: Native) -> None:
    sock = call.stream()
    for octet in (b"1", b"2", b"3"):
        sock.peer.send_urgent(octet)
    for octet in (b"1", b"2", b"3"):
        receive = call.receive(sock, 5, flags=OOB)
        assert call.dequeue() is receive
        assert receive.contents == [octet + bytes(4)]


@pytest.mark.behaviour("52", "Wine sock.c oob_server, oob_client, test_fionread_siocatmark")
def test_with_so_oobinline_an_urgent_byte_comes_in_line(call: Native) -> None:
    sock = call.stream()
    sock.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
    assert sock.getsockopt(SOL_SOCKET, SO_OOBINLINE) == 1
    sock.peer.send(b"data")
    sock.peer.send_urgent(b"!")
    receive = call.receive(sock, 5)
    assert receive.contents == [b"data!"]


@pytest.mark.behaviour("53", "Wine sock.c test_select")
def test_with_so_oobinline_msg_oob_is_refused(call: Native) -> None:
    sock = call.stream()
    sock.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
    sock.peer.send_urgent(b"!")
    for overlapped in (True, False):
        receive = call.receive(sock, 5, flags=OOB, overlapped=overlapped)
        assert receive.code == WinsockError.WSAEINVAL
    assert call.dequeue() is None


@pytest.mark.behaviour("54", "Wine afd.c test_poll: AFD_POLL_OOB alone")
def test_an_urgent_byte_does_not_make_the_socket_readable(call: Native) -> None:
    sock = call.stream()
    sock.peer.send_urgent(b"!")
    assert not sock.peer.is_readable()


@pytest.mark.parametrize("answer", NoUrgent)
@pytest.mark.behaviour("80", "no test that was read asserts it")
def test_msg_oob_where_nothing_is_urgent_may_wait_or_be_refused(
    call: Native, answer: NoUrgent
) -> None:
    call.simulation.behaviour.no_urgent = answer
    sock = call.stream()
    sock.peer.send(b"data!")
    receive = call.receive(sock, 5, flags=OOB)
    assert receive.code == (PENDING if answer is NoUrgent.WAITS else WinsockError.WSAEINVAL)
    sock.peer.send_urgent(b"!")
    assert call.dequeue() is (receive if answer is NoUrgent.WAITS else None)
