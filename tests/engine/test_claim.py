"""One task at a time receives on a socket; others are refused, or wait where it is about to end."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.receiving import AfterFirstStep, Receive, is_claimed, winerror
from tests.simulation import Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream, WinsockError

from .receives import (
    IN_PARTS,
    STREAM_RECEIVES,
    both_kinds,
    every_engine,
    socket_for,
    stream_for,
)
from .scripts import play

EVERY_RECEIVE = STREAM_RECEIVES | {f"{how}, parts": IN_PARTS[how] for how in IN_PARTS}


async def check_busy(sock: SocketOverSimulation) -> None:
    """Check that nobody else can receive or take the handle."""
    for receive in STREAM_RECEIVES.values():
        with pytest.raises(trio.BusyResourceError):
            await receive(sock)
    with pytest.raises(trio.BusyResourceError):
        sock.detach()


@pytest.mark.parametrize("how", EVERY_RECEIVE)
async def test_a_second_receive_is_refused_until_the_first_one_has_all_it_needs(
    simulation: Simulation, how: str
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(EVERY_RECEIVE[how], sock)
    while not first.done:
        events = simulation.events
        await check_busy(sock)
        assert simulation.events == events
        sock.peer.send(b"data!")
        if simulation.port.queue:  # until the packet has been dequeued
            await check_busy(sock)
        await simulation.step()
    assert first.succeeded


# In one turn: what is behind a "+" happens right after the first step of that receive.
IN_ONE_TURN = {
    "cancelled": ("recv, recv + cancel 0, .", "cancelled, busy"),
    "closed": ("recv, recv + close, .", "closed, busy"),
    "a peek, cancelled": ("peek, recv + cancel 0, .", "cancelled, busy"),
    "a peek, closed": ("peek, recv + close, .", "closed, busy"),
    "data for both": ("recv 3, recv 3 + data onetwo + dequeue, .", "one, two"),
    "data for the first": (
        "recv 3, recv 3 + data one + dequeue, ., recv 3, data two, .",
        "one, busy, two",
    ),
    "data for a peek, too": ("recv 3, peek 3 + data onetwo + dequeue, .", "one, two"),
    "no data for a peek": ("recv 3, peek 3 + data one + dequeue, .", "one, busy"),
    # An exact receive that has got a part waits for the rest.
    "a part": ("recv 3, exactly 6 + data onetwo + dequeue, ., data end, .", "one, twoend"),
}


@every_engine
@pytest.mark.parametrize(("script", "outcome"), IN_ONE_TURN.values(), ids=IN_ONE_TURN)
async def test_a_second_receive_in_the_step_in_which_the_first_ends_is_served_or_refused(
    simulation: Simulation, engine: str, script: str, outcome: str
) -> None:
    assert await play(simulation, stream_for(simulation, engine), script) == outcome


async def test_tasks_of_other_runs_and_other_wrappers_of_the_socket_are_refused(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    other = SocketOverSimulation(sock.stdlib)
    call = await simulation.begin(sock.recv, 100)
    await check_busy(other)
    with pytest.raises(trio.BusyResourceError):
        await trio.to_thread.run_sync(partial(trio.run, sock.recv, 100))
    other.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


# Waiting for a turn.  What `play` does is in scripts.py.

SERVED = {
    "behind one whose data has arrived": ("recv, data one, dequeue, recv, data two, .", "one, two"),
    "behind a cancelled one, in order": (
        "recv, late, cancel, recv 1, data 1, recv 1, data 2, recv 1, data 3, .",
        "cancelled, 1, 2, 3",
    ),
    "at a time only one waits": (
        "recv, late, cancel, recv, recv, recv, ., data one, .",
        "cancelled, one, busy, busy",
    ),
    "cancelled in line": ("recv, late, cancel, recv, cancel, .", "cancelled, cancelled"),
    "on a closed socket": ("recv, late, close, recv, .", "closed, WSAENOTSOCK"),
}


@pytest.mark.parametrize("case", SERVED)
@every_engine
@both_kinds
async def test_a_receive_waits_for_its_turn_behind_one_that_ends(
    simulation: Simulation, is_stream: bool, engine: str, case: str
) -> None:
    script, outcome = SERVED[case]
    for _ in range(5):  # Trio runs tasks that are woken together in any order
        sock = socket_for(simulation, engine, is_stream=is_stream)
        assert await play(simulation, sock, script) == outcome


MEANWHILE = {
    "a cancelled one gives data that has arrived": (
        "recv, late, cancel, recv, cancel, data one, .",
        "cancelled, one",
    ),
    "detached meanwhile": ("recv, late, cancel, detach, .", "cancelled"),
    "detached behind data": ("recv, data data, dequeue, detach, .", "data"),
    "bytes pushed back": (
        "exactly 18446744073709551616, data data, ., late, cancel, recv 2, recv 2, .",
        "cancelled, da, ta",
    ),
    **{
        f"closed, {left or 'nothing'} left": (
            f"recv, late, cancel, recv, recv, recv, {left}data more, close, .",
            "cancelled, closed, closed, closed",
        )
        for left in ("", "left data, ", "left error, ")
    },
}


async def test_the_last_checkpoint_of_a_receive_comes_after_its_claim(
    simulation: Simulation,
) -> None:
    sock = simulation.stream(made_here=True)
    sock.peer.send(b"data")
    claimed: list[bool] = []
    trio.lowlevel.add_instrument(AfterFirstStep(lambda: claimed.append(is_claimed(sock))))
    call = simulation.call(sock.recv, 100)
    await simulation.run()
    assert call.value == b"data"
    assert claimed == [False]


@pytest.mark.parametrize(("script", "outcome"), MEANWHILE.values(), ids=MEANWHILE)
async def test_what_happens_while_a_receive_ends(
    simulation: Simulation, script: str, outcome: str
) -> None:
    sock = simulation.stream()
    assert await play(simulation, sock, script) == outcome
    assert sock.peer.handles == ("close" not in script)
    assert "closed" not in outcome or simulation.events.count("receive") == 1


@every_engine
@both_kinds
async def test_two_receives_at_the_same_time_both_get_data_that_has_arrived(
    simulation: Simulation, is_stream: bool, engine: str
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    for _ in range(5):  # Trio runs the two in either order
        for data in (b"one", b"two"):
            sock.peer.send(data)
        calls = [simulation.call(sock.recv, 3) for _ in range(2)]
        await simulation.step()
        assert {call.value for call in calls} == {b"one", b"two"}


# The checkpoint.


@every_engine
async def test_every_receive_is_a_checkpoint(simulation: Simulation, engine: str) -> None:
    simulation.deliver_automatically()
    sock = stream_for(simulation, engine)
    sock.receiver.pushed_back.add(b"pushed back")
    with assert_checkpoints():
        assert await sock.recv(100) == b"pushed back"
    empty: list[Receive] = [
        lambda sock: SocketStream(sock).receive_exactly(0),
        lambda sock: SocketStream(sock).receive_into(bytearray()),
    ]
    for receive in (*STREAM_RECEIVES.values(), *empty):
        sock.peer.send(b"data")
        with assert_checkpoints():
            await receive(sock)
    for error in (WinsockError.WSAENETDOWN, WinsockError.WSAECONNRESET):
        sock.peer.refusals.append(error)
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await sock.recv(100)
        assert winerror(caught.value) == error
