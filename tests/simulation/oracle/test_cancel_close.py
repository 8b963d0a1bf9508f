"""Cancelling a receive, and closing the socket under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation import CancelAnswer
from tests.simulation.behaviour import WINE_HANDLES_CLOSED
from tests.simulation.errors import ERROR_NOT_FOUND
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

if TYPE_CHECKING:
    from .calls import Native


@pytest.mark.behaviour("10", "Wine afd.c test_async_thread_termination")
def test_cancelling_everything_on_a_handle_queues_a_packet_for_each(call: Native) -> None:
    sock = call.datagrams()
    receives = [call.receive(sock, 5) for _ in range(2)]
    assert call.cancel(sock)
    assert [call.dequeue(), call.dequeue()] == receives
    assert [receive.iosb for receive in receives] == 2 * [(NtStatus.CANCELLED, 0)]


@pytest.mark.behaviour("11", "Wine sock.c test_send_buffering")
def test_cancelling_where_nothing_is_pending_finds_nothing(call: Native) -> None:
    sock = call.stream()
    assert not call.cancel(sock)
    assert call.simulation.kernel32.last_error == ERROR_NOT_FOUND
    receive = call.receive(sock, 5)
    sock.peer.send(b"data!")
    assert not call.cancel(sock, receive)
    assert call.simulation.kernel32.last_error == ERROR_NOT_FOUND


@pytest.mark.behaviour("15a", "Wine sock.c test_completion_port, AcceptEx and a duplicate")
def test_closing_one_of_two_handles_ends_nothing(call: Native) -> None:
    sock = call.datagrams()
    duplicate = sock.dup()
    receive = call.receive(sock, 5)
    sock.close()
    assert call.dequeue() is None
    duplicate.close()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CANCELLED, 0)


@pytest.mark.behaviour("15b", "Wine afd.c test_async_cancel_on_handle_close")
def test_this_process_closing_its_last_handle_cancels_although_another_has_one(
    call: Native,
) -> None:
    sock = call.stream()
    endpoint = sock.peer
    endpoint.foreign_handles = 1
    receive = call.receive(sock, 5)
    sock.close()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CANCELLED, 0)
    assert endpoint.peer_saw is None


@pytest.mark.behaviour(
    "27", "Wine sock.c iocp_async_read_closesocket, iocp_async_closesocket (todo_wine)"
)
def test_closing_a_connection_on_a_receive_aborts_it(call: Native) -> None:
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.close()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CONNECTION_ABORTED, 0)
    assert call.dequeue() is None


@pytest.mark.behaviour(
    "28", "Wine afd.c, a UDP socket (todo_wine); .NET UdpReceiveGetsCanceledByDispose"
)
def test_closing_a_datagram_socket_on_a_receive_cancels_it(call: Native) -> None:
    sock = call.datagrams()
    receive = call.receive(sock, 5)
    sock.close()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CANCELLED, 0)
    assert call.dequeue() is None


CLOSED = [NtStatus.CANCELLED, NtStatus.CONNECTION_ABORTED, NtStatus.LOCAL_DISCONNECT]


@pytest.mark.parametrize("status", [*CLOSED, WINE_HANDLES_CLOSED])
@pytest.mark.behaviour(
    "29", ".NET SendReceive.cs: OperationAborted or ConnectionAborted; Windows XP; Wine"
)
def test_closing_on_a_receive_has_several_names(call: Native, status: int) -> None:
    call.simulation.behaviour.closed = status
    sock = call.stream()
    receive = call.receive(sock, 5)
    sock.close()
    assert call.dequeue() is receive
    assert receive.iosb == (status, 0)


@pytest.mark.parametrize("all_of_them", [True, False])
@pytest.mark.behaviour(
    "30", "corefx #36516, #34212; .NET CanceledOneOfMultipleReceives_Tcp; Wine cancels one"
)
def test_cancelling_one_receive_of_a_connection_gives_up_all(
    call: Native, all_of_them: bool
) -> None:
    call.simulation.behaviour.cancels_neighbours = all_of_them
    sock = call.stream()
    first, second = (call.receive(sock, 5) for _ in range(2))
    assert call.cancel(sock, second)
    ended = [first, second] if all_of_them else [second]
    for receive in ended:
        assert call.dequeue() is receive
        assert receive.iosb == (NtStatus.CANCELLED, 0)
    assert call.dequeue() is None
    assert len(sock.peer.requests) == 2 - len(ended)


@pytest.mark.behaviour("31", ".NET CanceledOneOfMultipleReceives_Udp")
def test_cancelling_one_datagram_receive_leaves_the_others(call: Native) -> None:
    sock = call.datagrams()
    first, second = (call.receive(sock, 5) for _ in range(2))
    assert call.cancel(sock, first)
    assert call.dequeue() is first
    assert call.dequeue() is None
    sock.peer.send(b"data!")
    assert call.dequeue() is second
    assert second.iosb == (NtStatus.SUCCESS, 5)


@pytest.mark.behaviour(
    "32", "golang/net nettest testFutureTimeout, resyncConn; vibe-d/eventcore #225 disagrees"
)
def test_a_connection_can_be_received_on_after_a_cancelled_receive(call: Native) -> None:
    sock = call.stream()
    for _ in range(3):
        receive = call.receive(sock, 5)
        assert call.cancel(sock, receive)
        assert call.dequeue() is receive
    sock.peer.send(b"data!")
    receive = call.receive(sock, 5)
    assert receive.code == 0
    assert receive.contents == [b"data!"]


@pytest.mark.behaviour("33", "CPython test_windows_events ProactorTests.test_close")
def test_after_cancelling_and_closing_the_peer_sees_the_end(call: Native) -> None:
    sock = call.stream()
    endpoint = sock.peer
    receive = call.receive(sock, 5)
    assert call.cancel(sock, receive)
    sock.close()
    assert endpoint.peer_saw == "end"


@pytest.mark.parametrize("answer", [CancelAnswer.COMPLETES, CancelAnswer.NOT_FOUND])
@pytest.mark.behaviour("34", "Go execIO; Trio test_too_late_to_cancel")
def test_a_cancellation_may_come_too_late(call: Native, answer: CancelAnswer) -> None:
    call.simulation.behaviour.cancel = answer
    sock = call.stream()
    receive = call.receive(sock, 5)
    call.simulation.behaviour.prompt = False
    sock.peer.send(b"data!")
    assert call.cancel(sock, receive) is (answer is CancelAnswer.COMPLETES)
    call.simulation.settle()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.SUCCESS, 5)
    assert receive.contents == [b"data!"]


@pytest.mark.behaviour("34", "traps of Winsock: bytes with STATUS_CANCELLED")
def test_a_cancelled_receive_may_have_bytes(call: Native) -> None:
    call.simulation.behaviour.cancel = CancelAnswer.ABORTED_WITH_BYTES
    sock = call.stream()
    receive = call.receive(sock, 5)
    call.simulation.behaviour.prompt = False
    sock.peer.send(b"data!")
    assert call.cancel(sock, receive)
    call.simulation.settle()
    assert call.dequeue() is receive
    assert receive.iosb == (NtStatus.CANCELLED, 5)


@pytest.mark.parametrize("resets", [True, False])
@pytest.mark.behaviour("81", "no test that was read asserts it; libuv #3034 reports a reset")
def test_closing_on_a_pending_receive_may_reset_the_connection(call: Native, resets: bool) -> None:
    call.simulation.behaviour.closing_resets = resets
    sock = call.stream()
    endpoint = sock.peer
    assert call.receive(sock, 5).code == WinsockError.WSA_IO_PENDING
    sock.close()
    assert endpoint.peer_saw == ("reset" if resets else "end")
