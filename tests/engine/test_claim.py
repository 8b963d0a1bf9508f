"""One task at a time receives on a socket, and each receive is a checkpoint."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import assert_checkpoints

from tests.receiving import (
    AfterFirstStep,
    Receive,
    every_receive,
    winerror,
)
from tests.simulation import Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

PEEK, WAITALL = MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL

STREAM_RECEIVES: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(100),
    "recv, peeking": lambda sock: sock.recv(100, PEEK),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "receive_some": lambda sock: SocketStream(sock).receive_some(),
    "receive_into": lambda sock: SocketStream(sock).receive_into(bytearray(100)),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(4),
    "receive_exactly_into": lambda sock: SocketStream(sock).receive_exactly_into(bytearray(4)),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(2), bytearray(2)], WAITALL),
}
every_stream_receive = pytest.mark.parametrize(
    "receive", STREAM_RECEIVES.values(), ids=STREAM_RECEIVES
)


async def check_busy(sock: SocketOverSimulation) -> None:
    """Check that nobody else gets in."""
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


async def test_a_second_receive_is_refused_until_the_first_task_has_been_woken(
    simulation: Simulation,
) -> None:
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
async def test_of_two_receives_in_the_same_moment_that_have_to_wait_one_is_refused(
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
@pytest.mark.parametrize("engine", ["overlapped", "readiness", "peeking"])
async def test_a_second_receive_is_refused_although_the_first_is_ended_right_behind_it(
    simulation: Simulation, engine: str, how: str
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = engine != "readiness"
    first = await simulation.begin(sock.recv, 100, PEEK if engine == "peeking" else 0)
    end = first.scope.cancel if how == "cancel" else sock.close
    trio.lowlevel.add_instrument(AfterFirstStep(end))
    second = simulation.call(sock.recv, 100)
    await simulation.step()
    assert isinstance(second.error, trio.BusyResourceError)
    assert first.cancelled if how == "cancel" else first.error


@pytest.mark.parametrize("flags", [0, PEEK], ids=["receive", "peek"])
@pytest.mark.parametrize("more", [True, False], ids=["more", "no more"])
@pytest.mark.parametrize("engine", ["overlapped", "readiness"])
async def test_a_second_receive_in_the_step_in_which_data_comes_is_served_or_refused(
    simulation: Simulation, engine: str, more: bool, flags: int
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = engine != "readiness"

    def arrive() -> None:
        sock.peer.send(b"onetwo" if more else b"one")
        simulation.deliver()

    first = await simulation.begin(sock.recv, 3)
    trio.lowlevel.add_instrument(AfterFirstStep(arrive))
    second = simulation.call(sock.recv, 3, flags)
    await simulation.step()
    assert first.value == b"one"
    if more:
        assert second.value == b"two"
    else:
        assert isinstance(second.error, trio.BusyResourceError)
        again = await simulation.begin(sock.recv, 3)
        sock.peer.send(b"two")
        await simulation.step()
        assert again.value == b"two"


@pytest.mark.parametrize("engine", ["overlapped", "readiness"])
async def test_an_exact_receive_that_has_a_part_may_wait_for_the_rest(
    simulation: Simulation, engine: str
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = engine != "readiness"

    def arrive() -> None:
        sock.peer.send(b"onetwo")
        simulation.deliver()

    first = await simulation.begin(sock.recv, 3)
    trio.lowlevel.add_instrument(AfterFirstStep(arrive))
    second = simulation.call(SocketStream(sock).receive_exactly, 6)
    await simulation.step()
    assert first.value == b"one"
    assert not second.done
    sock.peer.send(b"end")
    await simulation.step()
    assert second.value == b"twoend"


async def test_a_handle_can_be_detached_behind_a_receive_that_is_as_good_as_over(
    simulation: Simulation,
) -> None:
    for ending in ("data", "cancelled"):
        sock = simulation.stream()
        call = await simulation.begin(sock.recv, 100)
        if ending == "data":
            sock.peer.send(b"data")
            simulation.deliver()
        else:
            simulation.behave(prompt=False)
            call.scope.cancel()
        handle = sock.fileno()
        assert sock.stdlib.fileno() == handle
        assert sock.detach() == handle
        await simulation.step()
        assert call.cancelled is (ending == "cancelled")
        assert call.cancelled or call.value == b"data"
        simulation.kernel.close_handle(handle)


@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL"])
async def test_nobody_gets_in_between_two_parts_of_one_receive(
    simulation: Simulation, kind: str
) -> None:
    sock = simulation.stream()
    buffer = bytearray(8)
    if kind == "receive_exactly":
        call = simulation.call(SocketStream(sock).receive_exactly_into, buffer)
    else:
        call = simulation.call(wsarecv, sock, [buffer], WAITALL)
    await simulation.run()
    sock.peer.send(b"data")
    assert not simulation.in_kernel(sock)
    await check_busy(sock)
    await simulation.step()
    await check_busy(sock)
    sock.peer.send(b"more")
    await simulation.step()
    assert call.succeeded
    assert buffer == b"datamore"


async def test_nobody_gets_in_before_an_aborted_receive_is_repeated(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.CANCELLED)
    await check_busy(sock)
    await simulation.step()
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"


async def test_of_two_that_want_pushed_back_bytes_each_gets_its_own_or_is_refused(
    simulation: Simulation,
) -> None:
    for _ in range(10):  # since Trio runs the two in either order
        sock = simulation.stream()
        sock.receiver.pushed_back.add(b"01")
        some = simulation.call(sock.recv, 3)
        exact = await simulation.begin(SocketStream(sock).receive_exactly, 4)
        sock.peer.send(b"2345")
        await simulation.step()
        if not some.succeeded:
            assert isinstance(some.error, trio.BusyResourceError)
            assert exact.value == b"0123"
        elif not exact.succeeded:
            assert isinstance(exact.error, trio.BusyResourceError)
            assert some.value == b"01"
        else:
            assert (some.value, exact.value) == (b"01", b"2345")


@pytest.mark.parametrize(
    "ending", ["data", "end", "cancelled", "refused", "without memory", "reset", "aborted"]
)
async def test_however_a_receive_ends_the_next_gets_in(simulation: Simulation, ending: str) -> None:
    sock = simulation.stream()
    for _ in range(2):
        if ending == "refused":
            sock.peer.refusals.append(WinsockError.WSAENETDOWN)
        elif ending == "without memory":
            sock.peer.refusals.extend([WinsockError.WSAENOBUFS] * 2)
        call = await simulation.begin(sock.recv, 100)
        if ending == "data":
            sock.peer.send(b"data")
        elif ending == "end":
            sock.peer.end(NtStatus.SUCCESS)
        elif ending == "cancelled":
            call.scope.cancel()
        elif ending == "reset":
            sock.peer.end(NtStatus.CONNECTION_RESET)
        elif ending == "aborted":
            sock.peer.end(NtStatus.CANCELLED, b"data")
        await simulation.step()
        assert call.done
    sock.peer.send(b"data")
    again = simulation.call(sock.recv, 100)
    await simulation.step()
    assert again.value == b"data"


async def test_wrappers_of_one_socket_share_the_claim(simulation: Simulation) -> None:
    sock = simulation.stream()
    other = SocketOverSimulation(sock.stdlib)
    call = await simulation.begin(sock.recv, 100)
    await check_busy(other)
    other.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


@pytest.mark.parametrize("made_here", [False, True])
async def test_every_receive_is_a_checkpoint(simulation: Simulation, made_here: bool) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream(made_here=made_here)
    sock.receiver.pushed_back.add(b"at hand")
    with assert_checkpoints():
        assert await sock.recv(100) == b"at hand"
    for receive in STREAM_RECEIVES.values():
        sock.peer.send(b"data")
        with assert_checkpoints():
            await receive(sock)
    calls: list[tuple[Any, Any]] = [
        (sock.recv, 0),
        (SocketStream(sock).receive_exactly, 0),
        (SocketStream(sock).receive_into, bytearray()),
    ]
    sock.peer.send(b"data")
    for function, argument in calls:
        with assert_checkpoints():
            await function(argument)
    for error in (WinsockError.WSAENETDOWN, WinsockError.WSAECONNRESET):
        sock.peer.refusals.append(error)
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await sock.recv(100)
        assert winerror(caught.value) == error


async def test_tasks_that_take_turns_receive_in_order(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    for number, receive in zip(range(20), itertools.cycle((100, 1)), strict=False):
        sock.peer.send(b"%d," % number)
        received = b""
        while not received.endswith(b","):
            received += await sock.recv(receive)
        assert received == b"%d," % number
