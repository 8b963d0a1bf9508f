"""What is asked of the provider of a socket for datagrams."""

from __future__ import annotations

import socket
import uuid

import pytest

from tests.receiving import winerror
from tests.simulation import Simulation
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.datagram import set_udp_connreset, wsarecvmsg_function

SIO_UDP_CONNRESET = 0x9800000C
SIO_UDP_NETRESET = 0x9800000F
SIO_GET_EXTENSION_FUNCTION_POINTER = 0xC8000006
WSAID_WSARECVMSG = uuid.UUID("{f689d7c8-6f1f-436b-8a53-e54fe351c322}")


@pytest.mark.parametrize("enabled", [False, True])
def test_reports_of_nobody_there_can_be_switched(simulation: Simulation, enabled: bool) -> None:
    sock = simulation.datagrams()
    set_udp_connreset(sock.stdlib, enabled)
    assert simulation.ws2_32.ioctls == [
        (sock.fileno(), code, bytes([enabled, 0, 0, 0]))
        for code in (SIO_UDP_CONNRESET, SIO_UDP_NETRESET)
    ]


def test_a_system_need_not_know_the_second_switch(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wine does not.
    ioctl = simulation.ws2_32.WSAIoctl
    monkeypatch.setattr(
        simulation.ws2_32,
        "WSAIoctl",
        lambda s, code, *rest: -1 if code == SIO_UDP_NETRESET else ioctl(s, code, *rest),
    )
    error = WinsockError.WSAEOPNOTSUPP
    monkeypatch.setattr(simulation.ws2_32, "WSAGetLastError", lambda: error)
    set_udp_connreset(simulation.datagrams().stdlib, False)
    assert [code for _, code, _ in simulation.ws2_32.ioctls] == [SIO_UDP_CONNRESET]


async def test_each_kind_of_socket_is_asked_once_for_its_own_wsarecvmsg(
    simulation: Simulation,
) -> None:
    simulation.deliver_automatically()
    for family in (socket.AF_INET, socket.AF_INET6):
        for _ in range(2):
            sock = simulation.datagrams(family=family)
            sock.peer.send(b"data")
            assert (await sock.recvmsg(10))[0] == b"data"
    ioctls = [(code, given) for _, code, given in simulation.ws2_32.ioctls]
    assert ioctls == [(SIO_GET_EXTENSION_FUNCTION_POINTER, WSAID_WSARECVMSG.bytes_le)] * 2


def test_a_closed_socket_is_asked_nothing(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.close()
    for ask in (wsarecvmsg_function, lambda sock: set_udp_connreset(sock, True)):
        with pytest.raises(OSError, match=r".") as caught:
            ask(sock.stdlib)
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK
    assert not simulation.ws2_32.ioctls


def test_a_refusal_of_the_provider_is_an_error(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation.ws2_32, "WSAIoctl", lambda *_: -1)
    monkeypatch.setattr(simulation.ws2_32, "WSAGetLastError", lambda: WinsockError.WSAEOPNOTSUPP)
    sock = simulation.datagrams()
    for ask in (wsarecvmsg_function, lambda sock: set_udp_connreset(sock, True)):
        with pytest.raises(OSError, match=r".") as caught:
            ask(sock.stdlib)
        assert winerror(caught.value) == WinsockError.WSAEOPNOTSUPP
