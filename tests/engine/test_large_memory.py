"""The memory that a run lends is bounded: the receive that has waited longest gives it back."""

from __future__ import annotations

import gc
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import outcome
import pytest
import trio

from tests.peers import Counted, pattern
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.memory import Block
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream
from trio_wsarecv._engine import memory
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._engine.pushed_back import PushedBack
from trio_wsarecv._winsock.operation import Operation

from .flows import (
    ENDINGS,
    LARGE,
    MEDIUM,
    MOST_LARGE,
    MOST_LENT,
    SMALL,
    begin,
    blocks,
    capacity,
    make_flow,
    make_flows,
    offers,
    outcome_of,
    receive,
)
from .receives import every_choice, stream_for

# The bound.


@pytest.mark.deadline(55)
@pytest.mark.parametrize("count", [10, 10_000])
async def test_any_number_of_idle_connections_holds_bounded_memory_after_a_burst(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    if count > 1000:  # then it would take minutes to look for the block of each address
        monkeypatch.setattr(simulation.kernel.memory, "holder", lambda *_: Block(None, 0, 0))
    simulation.deliver_automatically()
    sockets = [simulation.stream(made_here=True) for _ in range(count)]

    def held() -> tuple[int, int]:
        """Return how many bytes of memory there are, and how many the kernel has."""
        memory = sum(block.size for block in simulation.kernel.memory.blocks.values())
        return memory, sum(map(capacity, sockets))

    async def receive_all(sock: SocketOverSimulation) -> None:
        while await sock.recv(LARGE):
            pass

    async with simulation.nursery() as nursery:
        for sock in sockets:
            nursery.start_soon(receive_all, sock)
        await simulation.run()
        quiet, quiet_in_kernel = held()
        for number, sock in enumerate(sockets):
            sock.peer.send(bytes((SMALL, SMALL + MEDIUM)[number % 2]))
        await simulation.run()
        idle, idle_in_kernel = held()
        for sock in sockets:
            sock.peer.send_end()
    assert idle <= quiet + MOST_LENT
    assert quiet_in_kernel == count * SMALL
    assert idle_in_kernel <= count * SMALL + MOST_LENT
    simulation.check_quiet()


@pytest.mark.parametrize("seed", range(10))
async def test_random_flows_stay_within_the_bound_and_lose_no_byte(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(memory, "MOST_LENT", 4 * LARGE)
    most_lent = 0
    simulation.behave(seed=seed)
    rng = random.Random(seed)
    sockets = [simulation.stream(made_here=bool(number % 2)) for number in range(20)]
    sent, received = dict.fromkeys(sockets, b""), dict.fromkeys(sockets, b"")
    calls: dict[SocketOverSimulation, Call] = {}
    counted = Counted()

    async def receive_some(sock: SocketOverSimulation) -> None:
        received[sock] += await sock.recv(rng.choice((SMALL, 5000, LARGE, LARGE)))

    async with simulation.nursery() as nursery:
        for _ in range(100):
            for sock in rng.sample(sockets, 10):
                if sock not in calls or calls[sock].done:
                    calls[sock] = simulation.call(receive_some, sock)
                    await simulation.run()  # one at a time: Trio runs tasks in random order
            for sock in rng.sample(sockets, 5):
                data = rng.randbytes(rng.choice((1, SMALL, SMALL + MEDIUM, 100_000)))
                sock.peer.send(data)
                sent[sock] += data
            if rng.random() < 0.3:
                calls[rng.choice([*calls])].scope.cancel()
            if rng.random() < 0.5:
                simulation.settle()
            await simulation.deliver_one_by_one(rng.randrange(20))
            assert Run.current().made == sum(blocks(simulation)) <= 4 * LARGE
            most_lent = max(most_lent, Run.current().made)
        nursery.cancel_scope.cancel()
    assert all(call.succeeded or call.cancelled for call in calls.values())
    for sock in sockets:
        assert received[sock] + sock.peer.waiting == sent[sock]
    assert most_lent > 3 * LARGE
    assert simulation.events.count("cancel") > counted.cancelled > 0
    assert not Run.current().waiting
    simulation.check_quiet()


# The receive that has waited longest.


@asynccontextmanager
async def all_lent(simulation: Simulation, *, made_here: bool = False) -> AsyncIterator[Any]:
    """Lend all memory to pending receives; yield those, and two flows that want some as well."""
    *waiting, one, two = await make_flows(simulation, MOST_LARGE + 2, made_here=made_here)
    async with simulation.nursery() as nursery:
        # These have waited longest, but have nothing to give back.
        simulation.call(simulation.stream().recv, SMALL)
        await simulation.begin(SocketStream(simulation.stream()).receive_exactly, LARGE)
        calls = await begin(simulation, *waiting)
        assert [capacity(sock) for sock in waiting] == [LARGE] * MOST_LARGE
        yield calls, waiting, one, two
        nursery.cancel_scope.cancel()


@every_choice("late_iosb")
async def test_when_all_is_lent_the_longest_waiting_receive_is_repeated_with_little(
    simulation: Simulation, made_here: bool
) -> None:
    counted = Counted()
    async with all_lent(simulation, made_here=made_here) as (calls, waiting, one, two):
        so_far, pended, overlapped = len(simulation.events), counted.pended, counted.overlapped
        calls += await begin(simulation, one)
        assert simulation.events[so_far:] == ["cancel", "receive"]
        assert simulation.kernel.log[so_far].handle == waiting[0].fileno()
        await simulation.step()
        assert simulation.events[so_far:] == ["cancel", "receive", "dequeue", "receive"]
        calls += await begin(simulation, two)  # this one gets what was given back
        sockets = [*waiting, one, two]
        large = [LARGE] * (MOST_LARGE - 1)
        assert [capacity(sock) for sock in sockets] == [SMALL, *large, SMALL, LARGE]
        second = await simulation.begin(waiting[0].recv, 100)
        assert outcome_of(second) is trio.BusyResourceError
        data = [b"%d" % number for number in range(len(sockets))]
        for sock, message in zip(sockets, data, strict=True):
            sock.peer.send(message)
        await simulation.step()
        assert [call.value for call in calls] == data
        assert simulation.events.count("cancel") == 1
        assert (counted.pended, counted.cancelled) == (pended + 2, 0)
        assert counted.overlapped == overlapped + 3
        # The one that gave its memory back starts small; the other asks for much again.
        await begin(simulation, waiting[0], one)
        assert [capacity(waiting[0]), capacity(one)] == [SMALL, LARGE]


async def test_two_receives_that_ask_in_one_step_get_the_memory_of_two(
    simulation: Simulation,
) -> None:
    async with all_lent(simulation) as (_, waiting, one, two):
        so_far = len(simulation.kernel.log)
        await begin(simulation, one, two)
        events = simulation.kernel.log[so_far:]
        asked = [event.handle for event in events if event.what == "cancel"]
        assert asked == [sock.fileno() for sock in waiting[:2]]


@pytest.mark.parametrize("answer", CancelAnswer)
@pytest.mark.parametrize("first", [True, False], ids=["then asked", "asked first"])
@pytest.mark.parametrize("ending", ["data", "end", "reset", "shut down", "cancelled", "closed"])
async def test_the_end_of_a_receive_whose_memory_is_taken_back_is_seen_by_the_program(
    simulation: Simulation, ending: str, first: bool, answer: CancelAnswer
) -> None:
    end, expected = ENDINGS[ending]
    counted = Counted()
    async with all_lent(simulation) as (calls, waiting, one, two):
        longest, call = waiting[0], calls[0]
        simulation.behave(prompt=False, cancel=answer)
        if first:
            end(longest, call)
        await begin(simulation, one)
        if not first:
            end(longest, call)
        await simulation.step()
        if ending == "data":
            assert call.value + longest.peer.waiting == expected
            assert len(call.value) >= SMALL
        else:
            assert outcome_of(call) == expected
        assert longest.peer.handles == (ending != "closed")
        assert counted.cancelled == (ending == "cancelled")
        await begin(simulation, two)  # this one gets what was given back
        assert [capacity(one), capacity(two)] == [SMALL, LARGE]
        assert all(capacity(sock) == LARGE for sock in waiting[1:])


async def test_receives_that_have_completed_are_not_asked_for_memory(
    simulation: Simulation,
) -> None:
    # The packet of each is still to come, so that its memory cannot be given back.
    sockets = await make_flows(simulation, MOST_LARGE + 1)
    sizes = offers(sockets[-1])
    for sock in sockets:
        sock.peer.send(b"data")
    calls = await begin(simulation, *sockets)
    assert sizes == [SMALL]
    await simulation.step()
    assert [call.value for call in calls] == [b"data"] * len(sockets)
    assert "cancel" not in simulation.events


@pytest.mark.parametrize(("size", "other"), [(MEDIUM, LARGE), (LARGE, MEDIUM)])
async def test_free_blocks_of_another_size_are_dropped_before_a_receive_is_asked(
    simulation: Simulation, size: int, other: int
) -> None:
    sockets = [simulation.stream() for _ in range(MOST_LENT // other)]
    sock = simulation.stream()
    for each in sockets:
        await make_flow(simulation, each, other)
    await make_flow(simulation, sock, size)
    async with simulation.nursery() as nursery:
        for each in sockets[1:]:
            each.peer.send(b"data")
        await begin(simulation, *sockets)
        await simulation.step()
        assert blocks(simulation).count(other) == len(sockets)
        await begin(simulation, sock)
        assert [capacity(sockets[0]), capacity(sock)] == [other, size]
        assert blocks(simulation) == [MEDIUM, LARGE]
        assert "cancel" not in simulation.events
        nursery.cancel_scope.cancel()


# The receive, its room, and whether of datagrams.
WITHOUT_BLOCK: dict[str, tuple[Any, int, bool]] = {
    "recv": (lambda sock: sock.recv(SMALL), SMALL, False),
    "recv_into": (lambda sock: sock.recv_into(bytearray(LARGE)), LARGE, False),
    "receive_exactly": (lambda sock: SocketStream(sock).receive_exactly(LARGE), LARGE, False),
    "recvfrom": (lambda sock: sock.recvfrom(60_000), 60_000, True),
}


@pytest.mark.parametrize(("method", "room", "datagrams"), WITHOUT_BLOCK.values(), ids=WITHOUT_BLOCK)
async def test_a_receive_that_needs_no_block_asks_for_none(
    simulation: Simulation, method: Any, room: int, datagrams: bool
) -> None:
    sock = simulation.datagrams() if datagrams else simulation.stream()
    async with all_lent(simulation):
        for _ in range(2):
            call = await simulation.begin(method, sock)
            assert sock.peer.requests[0].buffers[0][1] == room
            sock.peer.send(pattern(room))
            await simulation.step()
            assert call.succeeded
        (call,) = await begin(simulation, sock)
        if not datagrams:
            assert capacity(sock) == SMALL  # what came does not count as a flow
            # Memory for what has arrived behind a filled receive is not taken from others.
            sock.peer.send(pattern(SMALL + 1))
            await simulation.step()
            assert call.value == pattern(SMALL)
        by_readiness = stream_for(simulation, "readiness")
        by_readiness.peer.send(b"data")
        assert await by_readiness.recv(LARGE) == b"data"
        assert "cancel" not in simulation.events


# Memory is given back.


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_block_is_given_back_however_a_receive_ends(
    simulation: Simulation, ending: str, waits: bool, made_here: bool
) -> None:
    waits |= ending in ("shut down", "cancelled", "closed", "aborted", "deferred")
    end, expected = ENDINGS[ending]
    for _ in range(3):
        (sock,) = await make_flows(simulation, 1, made_here=made_here)
        call = simulation.call(sock.recv, LARGE)
        if waits:
            await simulation.run()
            assert capacity(sock) == LARGE
        end(sock, call)
        await simulation.step()
        if expected is None:
            assert capacity(sock) == SMALL
            call.scope.cancel()
            await simulation.step()
        else:
            assert outcome_of(call) == expected
        assert blocks(simulation) == [MEDIUM, LARGE]
        assert Run.current().made == MEDIUM + LARGE
        assert not Run.current().waiting


@pytest.mark.abandons
async def test_the_block_of_an_abandoned_receive_is_never_used_again(
    simulation: Simulation,
) -> None:
    sock, other = await make_flows(simulation, 2)
    receiving: Any = sock.recv(LARGE)
    receiving.send(None)
    receiving.send(outcome.Value(None))  # after the turn of other tasks
    assert capacity(sock) == LARGE
    simulation.behave(prompt=False)
    receiving.close()  # as Python closes it when there is no run any more
    assert Run.current().made == sum(blocks(simulation)) - LARGE == MEDIUM
    assert not Run.current().waiting
    sock.peer.requests.clear()  # its packet does not come yet
    simulation.behave(prompt=True)
    async with simulation.nursery() as nursery:
        await begin(simulation, other)
        assert blocks(simulation) == [MEDIUM, LARGE, LARGE]
        nursery.cancel_scope.cancel()


# Where no memory can be allocated.


def no_memory(*_: object) -> NoReturn:
    raise MemoryError


async def test_a_receive_goes_on_with_little_where_no_block_can_be_allocated(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, sock = await make_flows(simulation, 2)
    sizes = offers(sock)
    async with simulation.nursery() as nursery:
        await begin(simulation, waits)
        made = Run.current().made
        sock.peer.send(bytes(SMALL + 1))
        with monkeypatch.context() as patch:
            patch.setattr(memory, "_allocate", no_memory)
            assert await receive(simulation, sock) == bytes(SMALL)
        assert Run.current().made == made
        assert await receive(simulation, sock) == b"\0"
        assert sizes == [SMALL, LARGE]
        assert "cancel" not in simulation.events
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("waits", [True, False], ids=["waited", "was there"])
@pytest.mark.parametrize("ifs_handles", [True, False], ids=["overlapped", "readiness"])
async def test_a_large_result_that_cannot_be_made_is_given_in_parts_by_the_next_receives(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, ifs_handles: bool, waits: bool
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    sock.peer.ifs_handles = ifs_handles
    data = pattern(20_000)
    for _ in range(2):
        for flow in (sock, other):
            await make_flow(simulation, flow)
        with monkeypatch.context() as patch:
            for kind in (Operation, PushedBack):
                patch.setattr(kind, "unpack", no_memory)
            if not waits:
                sock.peer.send(data)
            calls = await begin(simulation, sock)
            if waits:
                sock.peer.send(data)
            await simulation.step()
            calls += await begin(simulation, sock, sock)
            assert all(isinstance(call.error, MemoryError) for call in calls)
        calls.clear()  # their errors refer to the memory, which no other receive may get
        run = Run.current()
        assert run.made == sum(blocks(simulation)) - LARGE
        assert not run.waiting
        other.peer.send(bytes(20_000))
        assert await receive(simulation, other) == bytes(20_000)
        sock.peer.send(b"more")
        parts = [await receive(simulation, sock, nbytes) for nbytes in (1, 5000, SMALL)]
        assert [len(part) for part in parts] == [1, 5000, SMALL]
        assert run.made == sum(blocks(simulation)) - LARGE
        parts.append(await receive(simulation, sock))
        assert b"".join(parts) == data
        gc.collect()
        assert run.made == sum(blocks(simulation))
        assert await receive(simulation, sock) == b"more"
