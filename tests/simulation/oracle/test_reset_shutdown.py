"""Connections that end, that are shut down, and that do not exist yet."""

from __future__ import annotations

import socket

import pytest

from tests.simulation import State
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .calls import DATA, Scenario, Steps, Winsock, scenarios

SUCCESS = NtStatus.SUCCESS
RECEIVE, SEND, BOTH = socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR
WSAECONNRESET, WSAESHUTDOWN = WinsockError.WSAECONNRESET, WinsockError.WSAESHUTDOWN
WSAENOTCONN, WSAEINVAL = WinsockError.WSAENOTCONN, WinsockError.WSAEINVAL

ENDING: list[Scenario] = [
    ("35: a reset before the call fails it without a packet, and its data is lost",
     "Wine sock.c test_completion_port, the reset before the call",
     lambda w: w.tcp().peer("send", b"lost").peer("reset").fails(WSAECONNRESET, 5).is_left(b"")),
    ("36: a reset ends a pending receive",
     "Wine sock.c test_tcp_reset, test_completion_port, test_WSARecv",
     lambda w: w.tcp().pends(5).peer("reset").completes(NtStatus.CONNECTION_RESET)),
    ("37: after a reset, every receive fails inline",
     "Wine sock.c test_tcp_reset",
     lambda w: w.tcp().pends(5).peer("reset").completes(NtStatus.CONNECTION_RESET)
     .fails(WSAECONNRESET, 5).fails(WSAECONNRESET, 5)),
    ("38: a send after the end of the stream that is answered by a reset aborts",
     "Wine sock.c test_shutdown (todo_wine)",
     lambda w: w.tcp().peer("send_end").peer("reset", NtStatus.CONNECTION_ABORTED)
     .fails(WinsockError.WSAECONNABORTED, 5)),
    ("39: the end of the stream is reported again and again",
     "Wine sock.c test_shutdown",
     lambda w: w.tcp().peer("send_end")
     .succeeds(0, 5).completes(SUCCESS).succeeds(0, 5).completes(SUCCESS)),
    ("40: the end of the stream ends a pending receive with no bytes",
     "Wine sock.c test_shutdown",
     lambda w: w.tcp().pends(5).peer("send_end").completes(SUCCESS)),
    ("41: a reset makes the socket readable",
     "Wine afd.c test_poll_reset",
     lambda w: w.tcp().is_readable(False).peer("reset").is_readable(True)),
]  # fmt: skip

SHUTDOWN: list[Scenario] = [
    *[row for how in (RECEIVE, BOTH) for row in (
        (f"42: a pending receive survives shutdown({how}) and gets later data",
         "Wine sock.c test_shutdown",
         lambda w, how=how: w.tcp().pends(5).own("shutdown", how).no_packet()
         .peer("send", DATA).completes(SUCCESS, DATA)),
        (f"43: a receive after shutdown({how}) is refused",
         "Wine sock.c test_shutdown; Wine afd.c test_recv, STATUS_PIPE_DISCONNECTED",
         lambda w, how=how: w.tcp().peer("send", DATA).own("shutdown", how)
         .fails(WSAESHUTDOWN, 5).fails(WSAESHUTDOWN, 5, overlapped=False)),
        (f"44: shutdown({how}) does not make the socket readable",
         "Wine sock.c test_WSAPoll; Wine afd.c test_poll",
         lambda w, how=how: w.tcp().own("shutdown", how).is_readable(False)
         .udp().own("shutdown", how).is_readable(False)),
    )],
    *[(f"45: shutdown({how}) queues no packet",
       "Wine sock.c shutdown_completion_port",
       lambda w, how=how: w.tcp().own("shutdown", how))
      for how in (RECEIVE, SEND, BOTH)],
    ("47: the shutdown of a datagram socket refuses its receives",
     "Wine sock.c test_shutdown; .NET",
     lambda w: w.udp().own("shutdown", SEND).pends(5)
     .own("shutdown", RECEIVE).fails(WSAESHUTDOWN, 5)),
    ("48: the shutdown of a datagram socket may take effect late",
     "dotnet/runtime #47469: a receive after the shutdown now and then waits",
     lambda w: w.behaves(late_udp_shutdown=True).udp().own("shutdown", BOTH)
     .pends(5).no_packet().fails(WSAESHUTDOWN, 5)),
]  # fmt: skip

UNCONNECTED: list[Scenario] = [
    *[(f"{number}: a socket that is {state.name} refuses receives without a packet",
       source,
       lambda w, state=state: w.tcp(state).fails(WSAENOTCONN, 5)
       .fails(WSAENOTCONN, 5, overlapped=False))
      for number, state, source in (
          (68, State.UNCONNECTED, "Wine sock.c test_completion_port"),
          (69, State.CONNECTING, "Wine sock.c test_connecting_socket (todo_wine)"),
          (70, State.LISTENING, "Wine afd.c test_recv, STATUS_INVALID_CONNECTION (todo_wine)"))],
    ("71: an unbound datagram socket refuses receives without a packet",
     "Wine afd.c test_recv, STATUS_INVALID_PARAMETER; sock.c test_connect_udp (todo_wine)",
     lambda w: w.udp(is_bound=False).fails(WSAEINVAL, 5).fails(WSAEINVAL, 5, call="WSARecvFrom")
     .fails(WSAEINVAL, 5, call="WSARecvMsg").fails(WSAEINVAL, 5, overlapped=False)),
]  # fmt: skip


@scenarios([*ENDING, *SHUTDOWN, *UNCONNECTED])
def test_a_connection_ends_as_on_windows(winsock: Winsock, steps: Steps) -> None:
    steps(winsock)
    winsock.no_packet()


@pytest.mark.parametrize("how", [RECEIVE, SEND, BOTH])
@pytest.mark.parametrize("state", [State.UNCONNECTED, State.LISTENING])
@pytest.mark.behaviour("46", "Wine sock.c test_shutdown")
def test_a_socket_without_a_connection_cannot_be_shut_down(
    winsock: Winsock, state: State, how: int
) -> None:
    with pytest.raises(OSError, match=str(WSAENOTCONN.value)):
        winsock.tcp(state).own("shutdown", how)
