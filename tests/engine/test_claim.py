"""One task at a time receives on a socket; others are refused, or wait where it is about to end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.receiving import AfterFirstStep, Receive, winerror
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError

from .receives import (
    IN_PARTS,
    STREAM_RECEIVES,
    both_engines,
    both_kinds,
    every_engine,
    socket_for,
    stream_for,
    value_of,
)

EVERY_RECEIVE = STREAM_RECEIVES | {f"{how}, parts": IN_PARTS[how] for how in IN_PARTS}
peek_or_not = pytest.mark.parametrize("flags", [0, MsgFlag.MSG_PEEK], ids=["receive", "peek"])


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


@pytest.mark.parametrize("how", ["cancel", "close"])
@peek_or_not
@every_engine
async def test_a_second_receive_is_refused_although_the_first_ends_right_after_it(
    simulation: Simulation, engine: str, flags: int, how: str
) -> None:
    sock = stream_for(simulation, engine)
    first = await simulation.begin(sock.recv, 100, flags)
    end = first.scope.cancel if how == "cancel" else sock.close
    trio.lowlevel.add_instrument(AfterFirstStep(end))
    second = simulation.call(sock.recv, 100)
    await simulation.step()
    assert isinstance(second.error, trio.BusyResourceError)
    assert first.cancelled if how == "cancel" else first.error


async def receive_as_data_comes(
    simulation: Simulation, sock: SocketOverSimulation, data: bytes, receive: Callable[[], Any]
) -> Call:
    """Receive right before the packet of another receive of 3 bytes comes, with the data."""

    def arrive() -> None:
        sock.peer.send(data)
        simulation.deliver()

    first = await simulation.begin(sock.recv, 3)
    trio.lowlevel.add_instrument(AfterFirstStep(arrive))
    second = simulation.call(receive)
    await simulation.step()
    assert first.value == data[:3]
    return second


@peek_or_not
@both_engines
async def test_a_second_receive_in_the_step_in_which_data_comes_is_served_or_refused(
    simulation: Simulation, engine: str, flags: int
) -> None:
    sock = stream_for(simulation, engine)
    second = await receive_as_data_comes(simulation, sock, b"onetwo", lambda: sock.recv(3, flags))
    assert second.value == b"two"
    sock = stream_for(simulation, engine)
    second = await receive_as_data_comes(simulation, sock, b"one", lambda: sock.recv(3, flags))
    assert isinstance(second.error, trio.BusyResourceError)
    sock.peer.send(b"two")
    assert await value_of(simulation, sock.recv, 3) == b"two"
    # An exact receive that has got a part waits for the rest.
    exactly = SocketStream(sock).receive_exactly
    second = await receive_as_data_comes(simulation, sock, b"onetwo", lambda: exactly(6))
    assert not second.done
    sock.peer.send(b"end")
    await simulation.step()
    assert second.value == b"twoend"


@pytest.mark.parametrize("ending", ["data", "cancelled"])
async def test_detaching_is_allowed_as_a_receive_ends(simulation: Simulation, ending: str) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    if ending == "data":
        sock.peer.send(b"data")
        simulation.deliver()
    else:
        simulation.behave(prompt=False)
        call.scope.cancel()
    handle = sock.fileno()
    assert sock.detach() == handle
    await simulation.step()
    assert call.cancelled if ending == "cancelled" else call.value == b"data"
    simulation.kernel.close_handle(handle)


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


# Waiting for a turn.


async def hold(simulation: Simulation, sock: SocketOverSimulation) -> Call:
    """Return a receive that is cancelled, and whose packet comes later."""
    call = await simulation.begin(sock.recv, 100)
    simulation.behave(prompt=False)
    call.scope.cancel()
    return call


async def end(simulation: Simulation, held: Call) -> None:
    """Deliver the packet of a receive that was cancelled."""
    simulation.behave(prompt=True)
    await simulation.step()
    assert held.cancelled


@every_engine
@both_kinds
async def test_a_receive_waits_behind_one_whose_data_has_arrived(
    simulation: Simulation, is_stream: bool, engine: str
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    for _ in range(5):  # Trio runs the two in either order
        first = await simulation.begin(sock.recv, 100)
        sock.peer.send(b"one")
        simulation.deliver()
        second = await simulation.begin(sock.recv, 100)
        assert first.value == b"one"
        assert not second.done
        sock.peer.send(b"two")
        await simulation.step()
        assert second.value == b"two"


@both_engines
@both_kinds
async def test_receives_in_line_are_served_in_order_with_data_that_has_arrived(
    simulation: Simulation, is_stream: bool, engine: str
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    first = await hold(simulation, sock)
    others = []
    for data in (b"1", b"2", b"3"):
        others.append(await simulation.begin(sock.recv, 1))
        sock.peer.send(data)
    await end(simulation, first)
    assert [call.value for call in others] == [b"1", b"2", b"3"]


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


@pytest.mark.parametrize("data", [b"", b"data"])
@both_kinds
async def test_a_receive_cancelled_in_line_gives_data_that_has_arrived_when_its_turn_comes(
    simulation: Simulation, is_stream: bool, data: bytes
) -> None:
    # So does one whose deadline passes while it is in line.
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    first = await hold(simulation, sock)
    second = await simulation.begin(sock.recv, 100)
    second.scope.cancel()
    await simulation.run()
    assert not second.done
    if data:
        sock.peer.send(data)
    await end(simulation, first)
    assert second.value == data if data else second.cancelled


@every_engine
@both_kinds
async def test_receives_wait_behind_a_cancelled_one_and_are_refused_behind_a_pending_one(
    simulation: Simulation, is_stream: bool, engine: str
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    first = await hold(simulation, sock)
    others = [simulation.call(sock.recv, 100) for _ in range(3)]
    await simulation.run()
    assert first.done is (engine == "readiness")
    assert engine == "readiness" or not any(call.done for call in others)
    await end(simulation, first)
    busy = [call for call in others if call.done]
    (waits,) = [call for call in others if not call.done]
    assert [type(call.error) for call in busy] == [trio.BusyResourceError] * 2
    sock.peer.send(b"data")
    await simulation.step()
    assert waits.value == b"data"


@every_engine
@both_kinds
async def test_a_receive_on_a_closed_socket_fails_although_another_is_pending(
    simulation: Simulation, is_stream: bool, engine: str
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    first = await simulation.begin(sock.recv, 100)
    simulation.behave(prompt=False)
    sock.close()
    second = await simulation.begin(sock.recv, 100)
    assert winerror(second.error) == WinsockError.WSAENOTSOCK
    await simulation.step()
    assert isinstance(first.error, trio.ClosedResourceError)


async def test_receives_in_line_get_the_bytes_that_a_cancelled_exact_receive_pushes_back(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    exact = await simulation.begin(SocketStream(sock).receive_exactly, 10)
    sock.peer.send(b"data")
    await simulation.step()
    simulation.behave(prompt=False)
    exact.scope.cancel()
    others = [await simulation.begin(sock.recv, 2) for _ in range(2)]
    await end(simulation, exact)
    assert [call.value for call in others] == [b"da", b"ta"]


@pytest.mark.parametrize("left", ["nothing", "bytes", "error"])
async def test_closing_ends_all_receives_in_line_whatever_was_left_for_them(
    simulation: Simulation, left: str
) -> None:
    sock = simulation.stream()
    first = await hold(simulation, sock)
    others = [simulation.call(sock.recv, 100) for _ in range(3)]
    await simulation.run()
    if left == "bytes":
        sock.receiver.pushed_back.add(b"data")
    elif left == "error":
        sock.receiver.pushed_back.defer(ConnectionResetError())
    sock.peer.send(b"data")
    sock.close()
    await end(simulation, first)
    assert [type(call.error) for call in others] == [trio.ClosedResourceError] * 3
    assert simulation.events.count("receive") == 1
    assert sock.peer.handles == 0


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
