"""How much a receive on a stream asks for: as much as its flow needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import trio

from tests.peers import Counted, pattern
from tests.receiving import AfterFirstStep
from tests.simulation import Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._engine import memory
from trio_wsarecv._engine.memory import MOST_LENT, Run, next_size
from trio_wsarecv._winsock.codes import NtStatus

from .flows import (
    LARGE,
    MEDIUM,
    SIZES,
    SMALL,
    capacity,
    make_flow,
    offers,
    outcome_of,
    receive,
)
from .receives import complete, every_choice, receive_when, when

MESSAGES = [1, 64, SMALL, 1500, 4096, 16000, MEDIUM]
whether_it_waits = pytest.mark.parametrize("waits", [True, False], ids=["waits", "never idle"])


# The next size.


@pytest.mark.parametrize(
    ("smaller", "size", "larger"),
    [(0, SMALL, MEDIUM), (SMALL, MEDIUM, LARGE), (MEDIUM, LARGE, LARGE)],
)
def test_the_size_grows_when_filled_and_shrinks_after_four_small_receives(
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


# On a socket.


async def exchange(
    simulation: Simulation, sock: SocketOverSimulation, nbytes: int, *, waits: bool
) -> None:
    """Receive a message that arrives while the receive waits, or before it begins."""
    arrives = partial(sock.peer.send, pattern(nbytes))
    call = await receive_when(simulation, waits, arrives, sock.recv, LARGE)
    received: bytes = call.value
    while len(received) < nbytes:
        received += await receive(simulation, sock)
    assert received == pattern(nbytes)


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
async def test_a_flow_shrinks_after_a_burst(simulation: Simulation, waits: bool) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    sizes = offers(sock)
    for _ in range(10):
        await exchange(simulation, sock, 64, waits=waits)
    assert sizes == [*[LARGE] * 4, *[MEDIUM] * 4, SMALL, SMALL]


# What has arrived behind a receive whose memory is filled.


@when
@pytest.mark.parametrize("size", SIZES[:-1])
async def test_a_receive_that_is_filled_also_gives_what_has_arrived_behind_it(
    simulation: Simulation, size: int, made_here: bool, pending: bool
) -> None:
    # As with stock Trio, which receives when the task runs.
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock, size)
    counted = Counted()
    arrives = partial(sock.peer.send, pattern(5 * size))
    call = await receive_when(simulation, pending, arrives, sock.recv, 4 * size)
    assert call.value == pattern(4 * size)
    assert (counted.overlapped, counted.wsarecv_calls, counted.bytes) == (1, 2, 4 * size)
    assert sock.peer.waiting == pattern(5 * size)[4 * size :]


def send_and_lack_memory(sock: SocketOverSimulation) -> None:
    sock.peer.send(b"more")
    sock.peer.refusals.append(WinsockError.WSAENOBUFS)


def send_and_lend_all(sock: SocketOverSimulation) -> None:
    sock.peer.send(b"more")
    Run.current().made = MOST_LENT


#: What is behind a receive that is filled, and what the next receives give.
BEHIND: dict[str, tuple[Callable[[SocketOverSimulation], object], list[object]]] = {
    "nothing": (lambda _: None, [b""]),
    "the end": (lambda sock: sock.peer.send_end(), [b"", b""]),
    "a reset": (lambda sock: sock.peer.reset(), [WinsockError.WSAECONNRESET, b""]),
    "no buffers": (send_and_lack_memory, [b"more", b""]),
    "all memory lent": (send_and_lend_all, [b"more", b""]),
    "a close": (lambda sock: sock.close(), [WinsockError.WSAENOTSOCK]),
}


@pytest.mark.parametrize("behind", BEHIND)
async def test_an_end_or_an_error_behind_a_filled_receive_is_left_to_the_next_receive(
    simulation: Simulation, behind: str
) -> None:
    arrives, following = BEHIND[behind]
    sock = simulation.stream()
    counted = Counted()
    call = await simulation.begin(sock.recv, 10 * SMALL)
    sock.peer.send(bytes(SMALL))
    arrives(sock)
    await simulation.step()
    assert call.value == bytes(SMALL)
    assert counted.failed == 0
    assert counted.wsarecv_calls == (1 if behind in ("all memory lent", "a close") else 2)
    Run.current().made = 0
    sock.peer.failure = None  # the system reports it once
    sock.peer.send_end()
    for expected in following:
        assert outcome_of(await complete(simulation, sock.recv, 100)) == expected


async def test_nothing_more_is_received_once_the_bytes_came_with_an_error(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 10 * SMALL)
    sock.peer.end(NtStatus.CONNECTION_RESET, bytes(SMALL))
    sock.peer.send(b"more")
    await simulation.step()
    assert call.value == bytes(SMALL)
    assert outcome_of(await complete(simulation, sock.recv, 100)) == WinsockError.WSAECONNRESET
    assert await sock.recv(100) == b"more"


@every_choice("flags_out")
async def test_what_is_behind_out_of_band_data_is_ordinary_data(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(bytes(SMALL), NtStatus.RECEIVE_EXPEDITED)
    sock.peer.send(b"more")
    call = await complete(simulation, sock.recv, LARGE)
    assert call.value == bytes(SMALL) + b"more"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("nbytes", [1, 100, SMALL, SMALL + 1, 5000, MEDIUM + 1, LARGE - 1, 1 << 20])
async def test_a_receive_asks_for_no_more_than_the_program_does(
    simulation: Simulation, nbytes: int, size: int
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock, size)
    call = await simulation.begin(sock.recv, nbytes)
    assert capacity(sock) == min(nbytes, size)
    counted = Counted()
    sock.peer.send(pattern(nbytes + 1))
    await simulation.step()
    assert 0 < len(call.value) <= nbytes
    assert call.value + sock.peer.waiting == pattern(nbytes + 1)
    # What fills less than was asked for may not be all.
    assert counted.wsarecv_calls == (size < min(nbytes, LARGE))


@pytest.mark.parametrize("ifs_handles", [True, False], ids=["overlapped", "readiness"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_out_of_band_data_needs_no_large_memory(
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


# Other tasks have a turn before there is a large result.


@pytest.mark.parametrize("size", SIZES)
async def test_a_cancellation_in_the_turn_before_a_large_receive_loses_nothing(
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
    # What completes inline in skip mode does not sleep any more.
    assert steps.steps == (2 if made_here or size == SMALL else 3)


async def test_a_cancellation_in_the_turn_before_more_is_received_loses_nothing(
    simulation: Simulation,
) -> None:
    sock = simulation.stream(made_here=True)
    data = pattern(3 * SMALL)
    sock.peer.send(data)
    trio.lowlevel.add_instrument(AfterFirstStep(lambda: call.scope.cancel()))
    call = simulation.call(sock.recv, LARGE)
    await simulation.step()
    assert call.value == data


async def test_a_large_receive_after_one_that_waited_is_submitted_at_once(
    simulation: Simulation, made_here: bool
) -> None:
    # It will probably wait as well, and another turn of the run loop costs a system call.
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock, LARGE)
    arrives = partial(sock.peer.send, b"data")
    await receive_when(simulation, True, arrives, sock.recv, LARGE)
    sizes = offers(sock)
    submitted: list[int] = []
    trio.lowlevel.add_instrument(AfterFirstStep(lambda: submitted.extend(sizes)))
    call = simulation.call(sock.recv, LARGE)
    await simulation.run()
    assert submitted == [LARGE]
    sock.peer.send(b"more")
    await simulation.step()
    assert call.value == b"more"
