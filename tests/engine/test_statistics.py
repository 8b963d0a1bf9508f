"""`statistics`: what is counted of receives."""

from __future__ import annotations

import dataclasses
import sys

import pytest

import trio_wsarecv
from tests.datagrams import Pair
from tests.peers import Counted, socket_pair, stdlib_pair
from tests.receiving import Receive, every_receive
from tests.simulation import Simulation
from trio_wsarecv import SocketStream, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

on_windows = sys.platform == "win32"


def test_statistics_are_frozen() -> None:
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

    def gained(*names: str) -> list[int]:
        return [getattr(counted, name) for name in names]

    sock.peer.send(b"data")
    inline = await simulation.begin(sock.recv, 100)
    await simulation.step()
    assert inline.value == b"data"
    assert gained("immediate", "pended", "bytes") == [1, 0, 4]

    pended = await simulation.begin(sock.recv, 100)
    assert gained("immediate", "pended") == [1, 1]
    sock.peer.send(b"more")
    await simulation.step()
    assert pended.value == b"more"
    assert gained("bytes") == [8]

    cancelled = await simulation.begin(sock.recv, 100)
    cancelled.scope.cancel()
    await simulation.step()
    assert cancelled.cancelled
    assert gained("pended", "cancelled", "wsarecv_calls") == [2, 1, 3]

    late = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"last")
    late.scope.cancel()
    await simulation.step()
    assert late.value == b"last"
    assert gained("cancelled", "received_despite_cancel") == [1, 1]

    sock.peer.refusals.append(WinsockError.WSAENETDOWN)
    refused = await simulation.begin(sock.recv, 100)
    assert isinstance(refused.error, OSError)
    assert gained("immediate", "pended", "failed") == [1, 3, 1]

    reset = await simulation.begin(sock.recv, 100)
    sock.peer.reset()
    await simulation.step()
    assert isinstance(reset.error, ConnectionResetError)
    assert gained("pended", "failed", "bytes", "overlapped", "wsarecv_calls") == [4, 2, 12, 6, 6]


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


@every_receive
async def test_bytes_that_come_with_an_abort_are_counted_once(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    counted = Counted()
    call = await simulation.begin(receive, sock)
    sock.peer.end(NtStatus.CANCELLED, b"some")
    call.scope.cancel()
    await simulation.step()
    assert call.succeeded
    assert (counted.bytes, counted.received_despite_cancel, counted.cancelled) == (4, 1, 0)


async def test_bytes_that_a_cancelled_receive_pushes_back_are_counted_once(
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
    assert await stream.receive_exactly(4) == b"some"
    assert (counted.bytes, counted.pended, counted.cancelled, counted.immediate) == (4, 2, 1, 0)


@pytest.mark.parametrize("data_is_there", [True, False])
async def test_a_receive_that_is_aborted_and_repeated_is_counted_once(
    simulation: Simulation, data_is_there: bool
) -> None:
    sock = simulation.stream()
    counted = Counted()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.CANCELLED)
    if not data_is_there:
        await simulation.step()
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
    assert (counted.immediate, counted.pended, counted.cancelled) == (0, 1, 0)
    assert (counted.overlapped, counted.bytes) == (2, 4)


async def test_what_needs_no_kernel_is_not_counted(simulation: Simulation) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    counted = Counted()
    sock.peer.send(b"data")
    assert await stream.receive_exactly(0) == b""
    assert await stream.receive_into(bytearray()) == 0
    with pytest.raises(ValueError, match=r"max_bytes"):
        await stream.receive_some(0)
    assert not any(
        getattr(counted, field.name) for field in dataclasses.fields(trio_wsarecv.Statistics)
    )
