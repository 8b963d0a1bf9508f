"""`statistics`: what is counted of the receives."""

from __future__ import annotations

import dataclasses
import sys

import pytest

import trio_wsarecv
from tests.datagrams import Pair
from tests.peers import Counted, socket_pair, stdlib_pair
from tests.receiving import Receive, every_receive
from tests.simulation import Simulation
from trio_wsarecv import SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

on_windows = sys.platform == "win32"


def test_what_was_counted_stays_as_it_is() -> None:
    statistics = trio_wsarecv.statistics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.bytes = 0  # type: ignore[misc]
    assert all(type(value) is int for value in dataclasses.astuple(statistics))


async def test_sockets_and_their_receives_are_counted() -> None:
    counted = Counted()
    with stdlib_pair() as (one, other):
        for sock in (trio_wsarecv.from_stdlib_socket(one), trio_wsarecv.from_stdlib_socket(one)):
            other.sendall(b"data")
            assert await sock.recv(100) == b"data"
        assert sock.engine.startswith("overlapped" if on_windows else "readiness: ")
    assert counted.sockets == 1
    assert counted.readiness == (0 if on_windows else 2)


async def test_receives_are_counted_by_how_they_end(simulation: Simulation) -> None:
    sock = simulation.stream()
    counted = Counted()
    sock.peer.send(b"data")
    inline = simulation.call(sock.recv, 100)
    await simulation.step()
    assert inline.value == b"data"
    assert (counted.immediate, counted.pended, counted.bytes) == (1, 0, 4)

    later = await simulation.begin(sock.recv, 100)
    assert (counted.immediate, counted.pended) == (1, 1)
    sock.peer.send(b"more")
    await simulation.step()
    assert later.value == b"more"
    assert counted.bytes == 8

    cancelled = await simulation.begin(sock.recv, 100)
    cancelled.scope.cancel()
    await simulation.step()
    assert cancelled.cancelled
    assert (counted.pended, counted.cancelled, counted.wsarecv_calls) == (2, 1, 3)

    late = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"last")
    late.scope.cancel()
    await simulation.step()
    assert late.value == b"last"
    assert (counted.cancelled, counted.received_despite_cancel) == (1, 1)

    sock.peer.refusals.append(WinsockError.WSAENETDOWN)
    refused = simulation.call(sock.recv, 100)
    await simulation.step()
    assert isinstance(refused.error, OSError)
    assert (counted.immediate, counted.pended, counted.failed) == (1, 3, 1)

    reset = await simulation.begin(sock.recv, 100)
    sock.peer.reset()
    await simulation.step()
    assert isinstance(reset.error, ConnectionResetError)
    assert (counted.pended, counted.failed, counted.bytes) == (4, 2, 12)
    assert counted.overlapped == counted.wsarecv_calls == 6


@every_receive
async def test_the_bytes_that_any_call_receives_are_counted(pair: Pair, receive: Receive) -> None:
    counted = Counted()
    pair.send(b"datagram")
    await receive(pair.sock)
    assert counted.bytes == 8
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        await receive(sock)
    assert counted.bytes == 12


@pytest.mark.parametrize("kind", ["recv", "recvmsg", "wsarecv"])
async def test_bytes_that_come_with_an_abort_are_counted_once(
    simulation: Simulation, kind: str
) -> None:
    sock = simulation.datagrams()
    counted = Counted()
    if kind == "wsarecv":
        call = simulation.call(wsarecv, sock, [bytearray(100)])
    else:
        call = simulation.call(getattr(sock, kind), 100)
    await simulation.run()
    sock.peer.end(NtStatus.CANCELLED, b"some")
    call.scope.cancel()
    await simulation.step()
    assert call.succeeded
    assert (counted.bytes, counted.received_despite_cancel, counted.cancelled) == (4, 1, 0)


async def test_bytes_of_a_receive_that_is_cancelled_half_way_are_counted_once(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    counted = Counted()
    call = await simulation.begin(stream.receive_exactly, 10)
    sock.peer.send(b"some")
    await simulation.step()
    call.scope.cancel()
    await simulation.step()
    assert call.cancelled
    # For bytes that were pushed back, no kernel is needed.
    assert await stream.receive_exactly(4) == b"some"
    assert (counted.bytes, counted.pended, counted.cancelled, counted.immediate) == (4, 2, 1, 0)


async def test_a_receive_that_is_aborted_and_repeated_is_counted_once(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    counted = Counted()
    for waits in (False, True):
        call = await simulation.begin(sock.recv, 100)
        sock.peer.end(NtStatus.CANCELLED)
        if waits:
            sock.peer.send(b"data")
        await simulation.run()
        simulation.deliver()
        await simulation.run()
        if not waits:
            sock.peer.send(b"data")
        await simulation.step()
        assert call.value == b"data"
    assert (counted.immediate, counted.pended, counted.cancelled) == (0, 2, 0)
    assert (counted.overlapped, counted.bytes) == (4, 8)


async def test_what_needs_no_kernel_is_not_counted(simulation: Simulation) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    counted = Counted()
    sock.peer.send(b"data")
    assert await sock.recv(0) == b""
    assert await sock.recv_into(bytearray()) == 0
    assert await stream.receive_exactly(0) == b""
    assert await stream.receive_into(bytearray()) == 0
    with pytest.raises(ValueError, match=r"max_bytes"):
        await stream.receive_some(0)
    assert not any(
        getattr(counted, field.name) for field in dataclasses.fields(trio_wsarecv.Statistics)
    )
