"""How much a receive on a stream asks for: little if it waits, and a block if it does not."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
import trio

from tests.engine.flows import LARGE, SMALL, both_modes, capacity, make_flow
from tests.peers import Counted, pattern
from tests.receiving import winerror
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.behaviour import FlagsOut, IosbWrite
from trio_wsarecv import MsgFlag, SocketStream, WinsockError

if TYPE_CHECKING:
    from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv._winsock.codes import NtStatus

pytestmark = pytest.mark.deadline(10)

# What waits is small.


@both_modes
async def test_a_receive_that_waits_asks_for_little_and_drains_the_rest(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    stream = SocketStream(sock)
    for nbytes in (SMALL - 1, SMALL, SMALL + 1, 10_000):
        async with simulation.nursery() as nursery:
            counted = Counted()
            call = Call(nursery, stream.receive_some)
            await simulation.run()
            assert capacity(sock) == SMALL
            sock.peer.send(pattern(nbytes))
            await simulation.step()
            assert call.value == pattern(nbytes)
            assert counted.overlapped == 1
            assert counted.wsarecv_calls == (1 if nbytes < SMALL else 2)
    simulation.check_quiet()


@pytest.mark.parametrize("nbytes", [1, 10, 100, SMALL])
async def test_a_small_receive_asks_for_no_more_than_the_program_does(
    simulation: Simulation, nbytes: int
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, nbytes)
        await simulation.run()
        assert capacity(sock) == nbytes
        sock.peer.send(pattern(nbytes + 1))
        await simulation.step()
        assert call.value == pattern(nbytes)
        assert sock.peer.waiting == pattern(nbytes + 1)[nbytes:]


@pytest.mark.parametrize("nbytes", [SMALL + 1, 5000, LARGE])
async def test_draining_stays_within_what_the_program_asks_for(
    simulation: Simulation, nbytes: int
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, nbytes)
        await simulation.run()
        sock.peer.send(pattern(nbytes + 1))
        await simulation.step()
        assert call.value == pattern(nbytes)


@both_modes
async def test_a_flow_is_received_in_large_pieces_and_what_waits_after_it_is_small(
    simulation: Simulation, made_here: bool
) -> None:
    data = pattern(2 << 20)
    sock = simulation.stream(made_here=made_here)
    stream = SocketStream(sock)
    sock.peer.send(data)
    sizes = []
    received = bytearray()
    async with simulation.nursery() as nursery:
        while len(received) < len(data):
            call = Call(nursery, stream.receive_some)
            await simulation.step()
            sizes.append(len(call.value))
            received += call.value
        assert received == data
        assert max(sizes) == LARGE
        assert sizes == [LARGE] * (len(data) // LARGE)
        idle = Call(nursery, stream.receive_some)
        await simulation.step()
        assert capacity(sock) == SMALL
        assert not idle.done
        idle.scope.cancel()
    simulation.check_quiet()


@both_modes
@pytest.mark.parametrize("iosb", IosbWrite)
async def test_a_large_receive_that_pends_is_cancelled_and_repeated_with_little(
    simulation: Simulation, made_here: bool, iosb: IosbWrite
) -> None:
    simulation.behave(iosb=iosb)
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    events = len(simulation.events)
    counted = Counted()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        assert simulation.events[events:] == ["receive", "cancel"]
        await simulation.step()
        assert simulation.events[events:] == ["receive", "cancel", "dequeue", "receive"]
        assert capacity(sock) == SMALL
        assert not call.done
        sock.peer.send(b"data")
        await simulation.step()
        assert call.value == b"data"
    # To the program that is one receive, and it was not cancelled.
    assert (counted.pended, counted.immediate, counted.cancelled) == (1, 0, 0)
    simulation.check_quiet()


@pytest.mark.parametrize("answer", CancelAnswer)
async def test_what_arrives_while_a_large_receive_is_being_cancelled_is_not_lost(
    simulation: Simulation, answer: CancelAnswer
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    simulation.behave(prompt=False, cancel=answer)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        sock.peer.send(pattern(5000))
        await simulation.step()
        assert call.value == pattern(5000)
    simulation.check_quiet()


@pytest.mark.parametrize("what", ["cancelled", "closed", "shut down", "reset"])
async def test_whatever_else_happens_to_a_large_receive_that_is_being_cancelled(
    simulation: Simulation, what: str
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    simulation.behave(prompt=False)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        if what == "cancelled":
            call.scope.cancel()
        elif what == "closed":
            sock.close()
        elif what == "shut down":
            sock.shutdown(2)
        else:
            sock.peer.reset()
        await simulation.step()
        if what == "cancelled":
            assert call.cancelled
        elif what == "closed":
            assert isinstance(call.error, trio.ClosedResourceError)
        elif what == "shut down":
            assert winerror(call.error) == WinsockError.WSAESHUTDOWN
        else:
            assert winerror(call.error) == WinsockError.WSAECONNRESET
    simulation.check_quiet()


async def test_out_of_band_data_is_received_in_a_flow_too(simulation: Simulation) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    sock.peer.send_urgent(b"!")
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE, int(MsgFlag.MSG_OOB))
        await simulation.step()
        assert call.value == b"!"


# Draining.


@both_modes
@pytest.mark.parametrize("flags_out", FlagsOut)
async def test_draining_asks_for_ordinary_data_whatever_flags_came_out(
    simulation: Simulation, made_here: bool, flags_out: FlagsOut
) -> None:
    simulation.behave(flags_out=flags_out)
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(bytes(SMALL), NtStatus.RECEIVE_EXPEDITED)
    sock.peer.send(b"more")
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.step()
        assert call.value == bytes(SMALL) + b"more"


async def test_that_there_is_nothing_to_drain_is_no_error(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALL)
        await simulation.run()
        sock.peer.send(bytes(SMALL))
        await simulation.step()
        assert call.value == bytes(SMALL)
        again = Call(nursery, sock.recv, 100)
        await simulation.run()
        assert simulation.in_kernel(sock)
        sock.peer.send(b"data")
        await simulation.step()
        assert again.value == b"data"


async def drain_into_a_reset(simulation: Simulation, sock: SocketOverSimulation) -> None:
    """Receive what fills the small buffer, just before the connection is reset."""
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALL)
        await simulation.run()
        sock.peer.send(bytes(SMALL))
        sock.peer.reset()
        simulation.deliver()
        await simulation.run()
        assert call.value == bytes(SMALL)


async def test_an_error_met_while_draining_is_for_the_next_receive(simulation: Simulation) -> None:
    sock = simulation.stream()
    await drain_into_a_reset(simulation, sock)
    # The system tells of it once.
    sock.peer.failure = None
    sock.peer.send_end()
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)
    assert await sock.recv(100) == b""


async def test_that_there_is_no_room_for_what_is_drained_is_no_error(
    simulation: Simulation,
) -> None:
    # The connection is in order, and a receive of little is possible.
    sock = simulation.stream()
    counted = Counted()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        sock.peer.send(pattern(5000))
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        await simulation.step()
        assert call.value == pattern(5000)[:SMALL]
        rest = Call(nursery, sock.recv, LARGE)
        await simulation.step()
        assert rest.value == pattern(5000)[SMALL:]
    assert counted.failed == 0


async def test_an_error_met_while_draining_keeps_nothing_alive(simulation: Simulation) -> None:
    sock = simulation.stream()
    await drain_into_a_reset(simulation, sock)
    alive = weakref.ref(sock.stdlib)
    del sock
    gc.collect()
    assert alive() is None


async def test_a_socket_that_was_closed_meanwhile_is_not_drained(simulation: Simulation) -> None:
    sock = simulation.stream()
    counted = Counted()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALL)
        await simulation.run()
        sock.peer.send(bytes(SMALL))
        sock.close()
        simulation.deliver()
        await simulation.run()
        assert call.value == bytes(SMALL)
    assert counted.wsarecv_calls == 1


async def test_the_end_met_while_draining_stays_the_end(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALL)
        await simulation.run()
        sock.peer.send(bytes(SMALL))
        sock.peer.send_end()
        await simulation.step()
        assert call.value == bytes(SMALL)
        for _ in range(2):
            again = Call(nursery, sock.recv, 100)
            await simulation.step()
            assert again.value == b""


@pytest.mark.parametrize(("nbytes", "flags"), [(SMALL, 0), (LARGE, MsgFlag.MSG_OOB)])
async def test_a_flow_lends_no_large_memory_to_what_needs_little(
    simulation: Simulation, nbytes: int, flags: int
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, nbytes, flags)
        await simulation.run()
        assert capacity(sock) == SMALL
        # What is large and has to wait is cancelled.
        assert "cancel" not in simulation.events
        sock.peer.send_urgent(b"!") if flags else sock.peer.send(b"!")
        await simulation.step()
        assert call.value == b"!"


async def test_a_small_receive_that_is_filled_does_not_make_the_next_a_large_one(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        sock.peer.send(bytes(SMALL))
        call = Call(nursery, sock.recv, SMALL)
        await simulation.step()
        assert call.value == bytes(SMALL)
        simulation.behave(prompt=False)
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        assert capacity(sock) == SMALL
        sock.peer.send(b"data")
        await simulation.step()
        assert call.value == b"data"
