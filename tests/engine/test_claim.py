"""One task at a time receives on a socket, and each receive is a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.receiving import AfterFirstStep, Receive, every_receive, winerror
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError

from .receives import (
    IN_PARTS,
    STREAM_RECEIVES,
    both_engines,
    every_engine,
    every_stream_receive,
    stream_for,
    value_of,
)


async def check_busy(sock: SocketOverSimulation) -> None:
    """Check that nobody else can receive or take the handle."""
    for receive in STREAM_RECEIVES.values():
        with pytest.raises(trio.BusyResourceError):
            await receive(sock)
    with pytest.raises(trio.BusyResourceError):
        sock.detach()


@every_stream_receive
async def test_a_second_receive_is_refused_while_one_waits(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(receive, sock)
    events = simulation.events
    await check_busy(sock)
    assert simulation.events == events
    sock.peer.send(b"data")
    await simulation.step()
    assert first.succeeded


async def test_a_second_receive_is_refused_until_the_first_is_woken(simulation: Simulation) -> None:
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"one")
    assert not simulation.in_kernel(sock)
    await check_busy(sock)
    simulation.deliver()
    second = await simulation.begin(sock.recv, 100)
    assert first.value == b"one"
    assert not second.done
    sock.peer.send(b"two")
    await simulation.step()
    assert second.value == b"two"


@every_receive
async def test_one_of_two_receives_that_begin_in_the_same_step_is_refused(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    calls = [simulation.call(receive, sock) for _ in range(2)]
    await simulation.run()
    assert len(sock.peer.requests) == 1
    sock.peer.send(b"data")
    await simulation.step()
    (busy,) = [call for call in calls if not call.succeeded]
    assert isinstance(busy.error, trio.BusyResourceError)


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest.mark.parametrize("flags", [0, MsgFlag.MSG_PEEK], ids=["receive", "peek"])
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


@pytest.mark.parametrize("flags", [0, MsgFlag.MSG_PEEK], ids=["receive", "peek"])
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


@both_engines
async def test_an_exact_receive_with_a_part_may_wait(simulation: Simulation, engine: str) -> None:
    sock = stream_for(simulation, engine)
    second = await receive_as_data_comes(
        simulation, sock, b"onetwo", lambda: SocketStream(sock).receive_exactly(6)
    )
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


@pytest.mark.parametrize("how", IN_PARTS)
async def test_nobody_gets_in_between_parts_of_a_receive(simulation: Simulation, how: str) -> None:
    sock = simulation.stream()
    call = await simulation.begin(IN_PARTS[how], sock)
    for data in (b"01234", b"56789"):
        await check_busy(sock)
        sock.peer.send(data)
        assert not simulation.in_kernel(sock)
        await check_busy(sock)
        await simulation.step()
    assert call.value in (b"0123456789", (10, 0))


async def test_wrappers_of_one_socket_share_the_claim(simulation: Simulation) -> None:
    sock = simulation.stream()
    other = SocketOverSimulation(sock.stdlib)
    call = await simulation.begin(sock.recv, 100)
    await check_busy(other)
    other.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


async def test_a_task_of_another_run_is_refused(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    with pytest.raises(trio.BusyResourceError):
        await trio.to_thread.run_sync(partial(trio.run, sock.recv, 100))
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"


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
