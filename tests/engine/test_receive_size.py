"""How much a receive on a stream asks for: as much as its flow needs, and no more than it may."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import trio

from tests.peers import Counted, pattern
from tests.receiving import AfterFirstStep
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import FlagsOut
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._engine import memory
from trio_wsarecv._engine.memory import next_size
from trio_wsarecv._winsock.codes import NtStatus

from .flows import (
    LARGE,
    MEDIUM,
    SIZES,
    SMALL,
    begin,
    both_modes,
    capacity,
    make_flow,
    offers,
    receive,
    value_of,
)

MESSAGES = [1, 64, SMALL, 1500, 4096, 16000, MEDIUM]
whether_it_waits = pytest.mark.parametrize("waits", [True, False], ids=["waits", "never idle"])


# The next size.


@pytest.mark.parametrize(
    ("smaller", "size", "larger"),
    [(0, SMALL, MEDIUM), (SMALL, MEDIUM, LARGE), (MEDIUM, LARGE, LARGE)],
)
def test_the_size_changes_by_one_step_and_only_for_a_reason(
    smaller: int, size: int, larger: int
) -> None:
    assert memory.SIZES == SIZES
    near = sorted({number + by for number in (0, *SIZES) for by in (-1, 0, 1)} & {*range(size + 1)})
    for offered, nbytes in itertools.product(near[1:], near):
        if nbytes > offered:
            continue
        after = [next_size(size, offered, nbytes, small) for small in range(4)]
        if nbytes == offered == size:
            assert after == 4 * [(larger, 0)]
        elif nbytes == offered or nbytes >= smaller:
            assert after == 4 * [(size, 0)]
        else:
            assert after == [(size, 1), (size, 2), (size, 3), (smaller, 0)]


def cost_of(messages: Iterable[int], size: int = SMALL) -> tuple[list[int], int]:
    """Return how many receives each message takes, and the size at the end."""
    costs, small = [], 0
    for message in messages:
        costs.append(0)
        while message:
            received = min(message, size)
            message -= received
            size, small = next_size(size, size, received, small)
            assert size in SIZES
            costs[-1] += 1
    return costs, size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("nbytes", [*MESSAGES, SMALL - 1, SMALL + 1, MEDIUM + 1, LARGE - 1, LARGE])
def test_a_flow_of_messages_of_one_size_settles_so_that_each_costs_one_receive(
    nbytes: int, size: int
) -> None:
    costs, after = cost_of([nbytes] * 100, size)
    assert sum(costs[:2]) <= 4
    assert costs[2:] == [1] * 98
    assert after <= next((size for size in SIZES if size > nbytes), LARGE)


def test_a_flow_of_large_messages_with_few_small_ones_between_them_keeps_its_size() -> None:
    assert cost_of([1500, 64, 64, 64] * 25, MEDIUM) == ([1] * 100, MEDIUM)


# On a socket.


async def exchange(
    simulation: Simulation, sock: SocketOverSimulation, nbytes: int, *, waits: bool
) -> None:
    """Receive a message that arrives while the receive waits, or before it begins."""
    async with trio.open_nursery():
        calls = await begin(simulation, sock) if waits else []
        sock.peer.send(pattern(nbytes))
        await simulation.step()
        received = b"".join(value_of(simulation, call) for call in calls)
    while len(received) < nbytes:
        received += await receive(simulation, sock)
    assert received == pattern(nbytes)


@both_modes
@whether_it_waits
@pytest.mark.parametrize("nbytes", MESSAGES)
async def test_a_steady_flow_of_messages_costs_one_call_each(
    simulation: Simulation, nbytes: int, waits: bool, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    for _ in range(3):
        await exchange(simulation, sock, nbytes, waits=waits)
    counted = Counted()
    for _ in range(20):
        await exchange(simulation, sock, nbytes, waits=waits)
    assert counted.wsarecv_calls == counted.overlapped == 20
    assert (counted.pended, counted.immediate) == ((20, 0) if waits else (0, 20))
    assert "cancel" not in simulation.events


@whether_it_waits
async def test_after_a_burst_a_flow_comes_back_to_little(
    simulation: Simulation, waits: bool
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    sizes = offers(sock)
    for _ in range(10):
        await exchange(simulation, sock, 64, waits=waits)
    assert sizes == [*[LARGE] * 4, *[MEDIUM] * 4, SMALL, SMALL]


@both_modes
async def test_a_flood_is_received_in_ever_larger_pieces(
    simulation: Simulation, made_here: bool
) -> None:
    data = pattern(SMALL + MEDIUM + 4 * LARGE)
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(data)
    sizes, received = offers(sock), b""
    while len(received) < len(data):
        received += await receive(simulation, sock)
    assert received == data
    assert sizes[:3] == [SMALL, MEDIUM, LARGE]
    assert set(sizes[3:]) == {LARGE}


# What has arrived behind a receive that is filled.


@both_modes
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("size", SIZES[:-1])
async def test_a_receive_that_is_filled_gives_what_has_arrived_behind_it_too(
    simulation: Simulation, size: int, made_here: bool, waits: bool
) -> None:
    # As with stock Trio, which receives when the task runs.
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock, size)
    counted = Counted()
    if not waits:
        sock.peer.send(pattern(5 * size))
    call = await simulation.begin(sock.recv, 4 * size)
    if waits:
        sock.peer.send(pattern(5 * size))
    await simulation.step()
    assert call.value == pattern(4 * size)
    assert (counted.overlapped, counted.wsarecv_calls, counted.bytes) == (1, 2, 4 * size)
    assert sock.peer.waiting == pattern(5 * size)[4 * size :]


@pytest.mark.parametrize("nbytes", [SMALL - 1, SMALL])
async def test_a_receive_that_has_all_that_was_asked_for_makes_one_call(
    simulation: Simulation, nbytes: int
) -> None:
    sock = simulation.stream()
    counted = Counted()
    sock.peer.send(pattern(nbytes))
    call = simulation.call(sock.recv, SMALL)
    await simulation.step()
    assert call.value == pattern(nbytes)
    assert counted.wsarecv_calls == 1


async def fill(
    simulation: Simulation, sock: SocketOverSimulation, after: Callable[[], object]
) -> bytes:
    """Fill a receive that waits, with something behind it; return what it gives."""
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALL)
        await simulation.run()
        sock.peer.send(bytes(SMALL))
        after()
        await simulation.step()
        return bytes(call.value)


async def test_that_nothing_is_behind_it_is_no_error(simulation: Simulation) -> None:
    sock = simulation.stream()
    counted = Counted()
    assert await fill(simulation, sock, lambda: None) == bytes(SMALL)
    assert counted.failed == 0


async def test_an_error_behind_it_is_for_the_next_receive(simulation: Simulation) -> None:
    sock = simulation.stream()
    simulation.deliver_automatically()
    assert await fill(simulation, sock, sock.peer.reset) == bytes(SMALL)
    # The system tells of it once.
    sock.peer.failure = None
    sock.peer.send_end()
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)
    assert await sock.recv(100) == b""


async def test_the_end_behind_it_stays_the_end(simulation: Simulation) -> None:
    sock = simulation.stream()
    assert await fill(simulation, sock, sock.peer.send_end) == bytes(SMALL)
    for _ in range(2):
        assert await sock.recv(100) == b""


async def test_that_there_is_no_room_for_what_is_behind_it_is_no_error(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    counted = Counted()

    def arrive() -> None:
        sock.peer.send(b"more")
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)

    assert await fill(simulation, sock, arrive) == bytes(SMALL)
    assert await sock.recv(100) == b"more"
    assert counted.failed == 0


async def test_of_a_socket_that_was_closed_meanwhile_nothing_more_is_received(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    counted = Counted()
    assert await fill(simulation, sock, sock.close) == bytes(SMALL)
    assert counted.wsarecv_calls == 1


@both_modes
@pytest.mark.parametrize("flags_out", FlagsOut)
async def test_what_is_behind_it_is_ordinary_data_whatever_flags_came_out(
    simulation: Simulation, made_here: bool, flags_out: FlagsOut
) -> None:
    simulation.behave(flags_out=flags_out)
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(bytes(SMALL), NtStatus.RECEIVE_EXPEDITED)
    sock.peer.send(b"more")
    call = simulation.call(sock.recv, LARGE)
    await simulation.step()
    assert call.value == bytes(SMALL) + b"more"


@both_modes
async def test_a_provider_that_reports_too_much_behind_it_reaches_no_other_memory(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    original = type(simulation.ws2_32).WSARecv

    def lying(*arguments: Any) -> int:
        failed = original(simulation.ws2_32, *arguments)
        if not arguments[5] and not failed:  # without an OVERLAPPED
            arguments[3][0] += 300_000
        return failed

    monkeypatch.setattr(simulation.ws2_32, "WSARecv", lying)
    simulation.deliver_automatically()
    sock.peer.send(pattern(5000))
    assert len(await sock.recv(LARGE)) == LARGE


async def test_what_is_behind_it_is_left_where_all_memory_is_lent(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_wsarecv._engine.memory.MOST_LENT", 0)
    sock = simulation.stream()
    assert await fill(simulation, sock, lambda: sock.peer.send(b"more")) == bytes(SMALL)
    assert await sock.recv(100) == b"more"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("nbytes", [1, 100, SMALL, SMALL + 1, 5000, MEDIUM + 1, LARGE - 1, 1 << 20])
async def test_a_receive_asks_for_no_more_than_the_program_does(
    simulation: Simulation, nbytes: int, size: int
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock, size)
    call = await simulation.begin(sock.recv, nbytes)
    assert capacity(sock) == min(nbytes, size)
    sock.peer.send(pattern(nbytes + 1))
    await simulation.step()
    assert 0 < len(call.value) <= nbytes
    assert call.value + sock.peer.waiting == pattern(nbytes + 1)


@pytest.mark.parametrize(
    ("size", "asks", "arrives"),
    [(SMALL, 100, 100), (SMALL, SMALL, SMALL), (MEDIUM, 5000, 5000), (LARGE, SMALL, 10)],
)
async def test_receives_of_less_than_a_flow_needs_make_it_no_larger_and_no_smaller(
    simulation: Simulation, size: int, asks: int, arrives: int
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock, size)
    sizes = offers(sock)
    for nbytes in [*[asks] * 5, LARGE]:
        sock.peer.send(pattern(arrives))
        assert await receive(simulation, sock, nbytes) == pattern(arrives)
    assert sizes == [*[asks] * 5, size]


@pytest.mark.parametrize("ifs_handles", [True, False], ids=["overlapped", "readiness"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_out_of_band_data_is_received_into_little_however_much_is_asked_for(
    simulation: Simulation, size: int, ifs_handles: bool
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = ifs_handles
    await make_flow(simulation, sock, size)
    sizes = offers(sock)
    sock.peer.send_urgent(b"!")
    assert await receive(simulation, sock, LARGE, int(MsgFlag.MSG_OOB)) == b"!"
    sock.peer.send(b"data")
    assert await receive(simulation, sock) == b"data"
    assert sizes == ([SMALL, size] if ifs_handles else [])


# Before there is a large result, others have a turn.


@both_modes
@pytest.mark.parametrize("size", SIZES)
async def test_others_have_one_turn_before_a_large_receive_and_no_deadline_in_it_costs_data(
    simulation: Simulation, size: int, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock, size)
    sizes = offers(sock)
    sock.peer.send(b"data")
    steps = AfterFirstStep(lambda: call.scope.cancel())
    trio.lowlevel.add_instrument(steps)
    call = simulation.call(sock.recv, LARGE)
    await simulation.step()
    assert call.value == b"data"
    assert sizes == [size]
    # What is inline in skip mode sleeps no more than that.
    assert steps.steps == (2 if made_here or size == SMALL else 3)


@both_modes
async def test_a_large_receive_behind_one_that_waited_is_submitted_at_once(
    simulation: Simulation, made_here: bool
) -> None:
    # It will probably wait, too, and another turn of the run loop costs a system call.
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock, LARGE)
    waits = await simulation.begin(sock.recv, LARGE)
    sock.peer.send(b"data")
    await simulation.step()
    assert waits.succeeded
    sizes = offers(sock)
    submitted: list[int] = []
    trio.lowlevel.add_instrument(AfterFirstStep(lambda: submitted.extend(sizes)))
    call = simulation.call(sock.recv, LARGE)
    await simulation.run()
    assert submitted == [LARGE]
    sock.peer.send(b"more")
    await simulation.step()
    assert call.value == b"more"


@both_modes
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_of_many_flows_one_at_a_time_has_a_large_result(
    simulation: Simulation, made_here: bool, size: int
) -> None:
    # Were they all received before the first task goes on, they would all be in memory.
    steps = []
    sockets = [simulation.stream(made_here=made_here) for _ in range(5)]
    for sock in sockets:
        await make_flow(simulation, sock, size)
        sock.peer.send(b"data")
    simulation.ws2_32.on_call = lambda: steps.append("call")

    async def receive_one(sock: SocketOverSimulation) -> None:
        assert await sock.recv(LARGE) == b"data"
        steps.append("received")

    async with simulation.nursery() as nursery:
        for sock in sockets:
            nursery.start_soon(receive_one, sock)
        await simulation.step()
    one_by_one = made_here and size == LARGE
    assert steps == (["call", "received"] * 5 if one_by_one else ["call"] * 5 + ["received"] * 5)
