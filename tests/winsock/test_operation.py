"""Operations by themselves, and the ioctls of a datagram socket; tests/engine shows the rest."""

from __future__ import annotations

import itertools
import socket
import uuid
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.receiving import winerror
from tests.simulation import Simulation
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock import datagram
from trio_wsarecv._winsock.calls import ffi
from trio_wsarecv._winsock.datagram import (
    MAX_DATAGRAM,
    DatagramOperation,
    set_udp_connreset,
    wsarecvmsg_function,
)
from trio_wsarecv._winsock.operation import Operation, State
from trio_wsarecv._winsock.status import Asked, Mode

pytestmark = pytest.mark.usefixtures("simulation")


@pytest.mark.parametrize("state", State)
def test_only_an_operation_that_the_kernel_has_is_cancelled_and_the_first_request_counts(
    simulation: Simulation, state: State
) -> None:
    sock = simulation.stream()
    is_ours = state in (State.IDLE, State.COMPLETED, State.ABANDONED)
    for first, second in itertools.permutations((Asked.CANCEL, Asked.CLOSE)):
        operation = Operation(sock.fileno())
        operation.state = state
        operation.cancel()
        operation.ask(first)
        operation.ask(second)
        assert operation.is_in_kernel is not is_ours
        assert operation.asked is (None if is_ours else first)
    assert simulation.events == ([] if is_ours else ["cancel"] * 6)


def test_what_the_last_call_has_left_does_not_come_into_the_next_one() -> None:
    # It may have changed the flags, and an exception may have left its buffers exported.
    buffer = bytearray(10)
    for operation in (Operation(1), DatagramOperation(1, Mode.DEFAULT)):
        for set_room in (
            partial(operation.set_memory, 10),
            partial(operation.set_buffer, buffer, 0, 10),
            partial(operation.set_buffers, [buffer], 0, 10),
        ):
            for flags in (MsgFlag.MSG_PARTIAL, 0):
                left = bytearray(10)
                operation.set_buffer(left, 0, 10, 0xFFFF)
                set_room(flags)
                assert operation.memory.flags == flags
                left.append(0)
                operation.release()


def test_the_overflow_area_lives_as_long_as_the_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # At its exit, the interpreter drops the module's own reference.
    area = ffi.new("char[]", MAX_DATAGRAM)
    alive = weakref.ref(area)
    with monkeypatch.context() as patch:
        patch.setattr(datagram, "overflow_area", area)
        operation = DatagramOperation(1, Mode.DEFAULT)
    del area
    assert alive() is not None
    del operation
    assert alive() is None


# The ioctls.

SIO_UDP_CONNRESET = 0x9800000C
SIO_UDP_NETRESET = 0x9800000F
SIO_GET_EXTENSION_FUNCTION_POINTER = 0xC8000006
WSAID_WSARECVMSG = uuid.UUID("{f689d7c8-6f1f-436b-8a53-e54fe351c322}")


@pytest.mark.parametrize("enabled", [False, True])
def test_connection_resets_of_udp_are_switched_by_two_ioctls(
    simulation: Simulation, enabled: bool
) -> None:
    sock = simulation.datagrams()
    set_udp_connreset(sock.stdlib, enabled)
    assert simulation.ws2_32.ioctls == [
        (sock.fileno(), code, bytes([enabled, 0, 0, 0]))
        for code in (SIO_UDP_CONNRESET, SIO_UDP_NETRESET)
    ]


def test_the_second_ioctl_may_be_unknown(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in Wine.
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


async def test_wsarecvmsg_is_looked_up_once_for_each_kind_of_socket(
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


@pytest.mark.parametrize("ask", [wsarecvmsg_function, partial(set_udp_connreset, enabled=True)])
def test_an_ioctl_fails_on_a_closed_socket_and_where_the_provider_refuses(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Any], object]
) -> None:
    sock = simulation.datagrams().stdlib
    monkeypatch.setattr(simulation.ws2_32, "WSAIoctl", lambda *_: -1)
    monkeypatch.setattr(simulation.ws2_32, "WSAGetLastError", lambda: WinsockError.WSAEOPNOTSUPP)
    for expected in (WinsockError.WSAEOPNOTSUPP, WinsockError.WSAENOTSOCK):
        with pytest.raises(OSError, match=r".") as caught:
            ask(sock)
        assert winerror(caught.value) == expected
        sock.close()
