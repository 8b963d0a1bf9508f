"""Sockets that are not, or not yet, in a state to receive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation import State
from trio_wsarecv._winsock.codes import WinsockError

if TYPE_CHECKING:
    from .calls import Native


@pytest.mark.parametrize("state", [State.UNCONNECTED, State.LISTENING])
@pytest.mark.behaviour("46", "Wine sock.c test_shutdown")
def test_a_socket_without_a_connection_cannot_be_shut_down(call: Native, state: State) -> None:
    sock = call.stream(state)
    for how in range(3):
        with pytest.raises(OSError, match=r"10057"):
            sock.shutdown(how)


def check_refused(call: Native, state: State) -> None:
    sock = call.stream(state)
    for overlapped in (True, False):
        receive = call.receive(sock, 5, overlapped=overlapped)
        assert receive.code == WinsockError.WSAENOTCONN
    assert call.dequeue() is None


@pytest.mark.behaviour("68", "Wine sock.c test_completion_port")
def test_an_unconnected_socket_refuses_without_a_packet(call: Native) -> None:
    check_refused(call, State.UNCONNECTED)


@pytest.mark.behaviour("69", "Wine sock.c test_connecting_socket (todo_wine)")
def test_a_connecting_socket_refuses_without_a_packet(call: Native) -> None:
    check_refused(call, State.CONNECTING)


@pytest.mark.behaviour("70", "Wine afd.c test_recv, STATUS_INVALID_CONNECTION (todo_wine)")
def test_a_listening_socket_refuses_without_a_packet(call: Native) -> None:
    check_refused(call, State.LISTENING)


@pytest.mark.behaviour(
    "71", "Wine afd.c test_recv, STATUS_INVALID_PARAMETER; sock.c test_connect_udp (todo_wine)"
)
def test_an_unbound_datagram_socket_refuses_without_a_packet(call: Native) -> None:
    sock = call.datagrams(is_bound=False)
    for receive in (
        call.receive(sock, 5),
        call.receive_from(sock, 5),
        call.receive_message(sock, 5),
        call.receive(sock, 5, overlapped=False),
    ):
        assert receive.code == WinsockError.WSAEINVAL
    assert call.dequeue() is None
