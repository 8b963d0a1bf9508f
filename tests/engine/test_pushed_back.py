"""The bytes of a receive that fails begin the next one; and errors that have to wait."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.peers import pattern
from tests.receiving import winerror
from tests.simulation import Simulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

from .receives import receive_when, value_of

OOB, PEEK = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK
MIB = 1 << 20


async def test_a_cancelled_exact_receive_loses_nothing(simulation: Simulation) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    call = simulation.call(stream.receive_exactly, 10)
    for piece in (b"ab", b"cd", b"e"):
        await simulation.run()
        sock.peer.send(piece)
        await simulation.step()
    call.scope.cancel()
    await simulation.step()
    assert call.cancelled
    assert sock.is_readable()
    assert await stream.receive_some(2) == b"ab"
    for _ in range(3):  # bytes that are pushed back again keep their place
        exact = await simulation.begin(stream.receive_exactly, 5)
        assert simulation.in_kernel(sock)
        exact.scope.cancel()
        await simulation.step()
        assert exact.cancelled
    sock.peer.send(b"fg")
    assert await value_of(simulation, stream.receive_exactly, 5) == b"cdefg"


async def test_what_is_pushed_back_last_comes_first(simulation: Simulation) -> None:
    sock = simulation.stream()
    for data in (b"cd", b"ab", b""):
        sock.receiver.pushed_back.add(data)
    assert await sock.recv(10) == b"abcd"


@pytest.mark.parametrize("how", ["refused", "reset", "an error with bytes"])
async def test_a_failed_exact_receive_loses_nothing(simulation: Simulation, how: str) -> None:
    sock = simulation.stream(made_here=True)
    stream = SocketStream(sock)
    call = await simulation.begin(stream.receive_exactly, 10)
    if how == "an error with bytes":
        sock.peer.end(NtStatus.CONNECTION_RESET, b"some")
        sock.peer.reset()
    else:
        sock.peer.send(b"some")
    if how == "refused":
        sock.peer.refusals.append(WinsockError.WSAECONNRESET)
    elif how == "reset":
        await simulation.step()
        sock.peer.reset()
    await simulation.step()
    assert isinstance(call.error, trio.BrokenResourceError)
    assert isinstance(call.error.__cause__, ConnectionResetError)
    assert await stream.receive_some() == b"some"
    if how != "refused":
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


async def test_pushed_back_bytes_can_be_peeked_at_and_need_no_call(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.receiver.pushed_back.add(b"0123456789")
    buffer = bytearray(3)
    assert await sock.recv(4, PEEK) == b"0123"
    assert await sock.recv_into(buffer, 0, PEEK) == 3
    assert await wsarecv(sock, [buffer, bytearray(3)], PEEK) == (6, 0)
    assert await sock.recv(4) == b"0123"
    assert (await sock.recvfrom(2))[0] == b"45"
    assert (await sock.recvmsg(2))[0] == b"67"
    assert await sock.recv_into(buffer) == 2
    assert buffer == b"892"
    assert not simulation.events


async def test_out_of_band_data_passes_what_was_pushed_back(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.receiver.pushed_back.add(b"data")
    sock.peer.send_urgent(b"!")
    buffer = bytearray(5)
    assert await wsarecv(sock, [buffer], OOB) == (1, OOB)
    assert buffer == b"!" + bytes(4)
    assert await sock.recv(10) == b"data"


@pytest.mark.parametrize("nbytes", [5, MIB, 5 * MIB + 7])
async def test_exact_receives_grow_as_bytes_come(simulation: Simulation, nbytes: int) -> None:
    sock = simulation.stream()
    expected = pattern(nbytes)
    received = 0
    call = simulation.call(SocketStream(sock).receive_exactly, nbytes)
    while received < nbytes:
        await simulation.run()
        (request,) = sock.peer.requests
        missing = nbytes - received
        assert 0 < request.capacity <= min(missing, max(received, MIB))
        size = min(missing, 700_001)
        sock.peer.send(expected[received : received + size])
        await simulation.step()
        received += size
    is_the_same = call.value == expected  # to show the difference would take minutes
    assert is_the_same


@pytest.mark.parametrize("nbytes", [1 << 31, 1 << 62, 1 << 64])
async def test_an_enormous_exact_receive_costs_little(simulation: Simulation, nbytes: int) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    call = await simulation.begin(stream.receive_exactly, nbytes)
    (request,) = sock.peer.requests
    assert request.capacity == MIB
    sock.peer.send(b"some")
    await simulation.step()
    call.scope.cancel()
    await simulation.step()
    assert call.cancelled
    assert await stream.receive_some() == b"some"


async def test_exact_receives_take_what_was_pushed_back_in_order_and_then_its_error(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    data = pattern(5 * MIB)
    sock.receiver.pushed_back.add(data[: 4 * MIB])
    sock.receiver.pushed_back.defer(ConnectionResetError())
    sock.peer.send(data[4 * MIB :])
    # Each is more than the memory that an exact receive begins with.
    first = await stream.receive_exactly(2 * MIB + 7)
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_exactly(3 * MIB - 7)
    assert not simulation.events
    second = await stream.receive_exactly(3 * MIB - 7)
    is_the_same = first + second == data
    assert is_the_same


async def test_pushed_back_bytes_are_neither_copied_nor_kept_longer(simulation: Simulation) -> None:
    # Copied each time, 50 MB that are received 4 KiB at a time take minutes.
    sock = simulation.stream()
    sock.receiver.pushed_back.add(b"0123456789")
    memory = memoryview(sock.receiver.pushed_back.data).obj
    assert await sock.recv(4) == b"0123"
    assert memoryview(sock.receiver.pushed_back.data).obj is memory
    assert await sock.recv(100) == b"456789"
    assert memoryview(sock.receiver.pushed_back.data).obj == b""


@pytest.mark.parametrize("into", ["recv_into", "recvfrom_into", "wsarecv", "receive_exactly_into"])
async def test_a_resized_buffer_takes_nothing(simulation: Simulation, into: str) -> None:
    sock = simulation.stream()
    buffer = bytearray(4)
    receives: dict[str, Any] = {
        "recv_into": lambda: sock.recv_into(buffer),
        "recvfrom_into": lambda: sock.recvfrom_into(buffer),
        "wsarecv": lambda: wsarecv(sock, [buffer]),
        "receive_exactly_into": lambda: SocketStream(sock).receive_exactly_into(buffer),
    }
    exact = await simulation.begin(SocketStream(sock).receive_exactly, 10)
    sock.peer.send(b"data")
    await simulation.step()
    simulation.behave(prompt=False)
    exact.scope.cancel()
    call = await simulation.begin(receives[into])  # waits for its turn
    del buffer[2:]
    await simulation.step()
    assert exact.cancelled
    assert isinstance(call.error, ValueError)
    assert await sock.recv(4) == b"data"


async def test_bytes_that_come_with_an_error_come_first(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.IO_TIMEOUT, b"some")
    await simulation.step()
    assert call.value == b"some"
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recv(100)
    assert winerror(caught.value) == WinsockError.WSAETIMEDOUT
    # The error is reported once.
    again = await receive_when(simulation, True, lambda: sock.peer.send(b"more"), sock.recv, 100)
    assert again.value == b"more"
