"""A failure, of memory or by a signal handler, costs no data, no packet and no turn."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import pytest
import trio
from trio.testing import MockClock

import trio_wsarecv
from tests.peers import pattern
from tests.receiving import SENDER, SENDER_ADDRESS, Receive, is_claimed
from tests.simulation import CancelAnswer, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import wsarecv
from trio_wsarecv._engine import port
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._winsock.operation import Operation, State

from .flows import LARGE, MEDIUM, make_flow
from .receives import (
    BATCHES,
    STREAM_RECEIVES,
    arrive,
    both_kinds,
    receive_when,
    socket_for,
    when,
)

EVERY_RECEIVE: dict[str, Receive] = {**STREAM_RECEIVES, **BATCHES}
PACKAGE: Final = str(Path(trio_wsarecv.__file__).parent)


class Stop(Exception):
    """Raised by a signal handler."""


def stop(*_: object) -> NoReturn:
    raise Stop


def hook(simulation: Simulation, moment: str, handler: Callable[[], object]) -> None:
    """Have a signal handler run once, in the next call of this kind."""
    owner, name = {
        "submit": (simulation.ws2_32, "on_call"),
        "wait": (simulation, "on_wait"),
        "cancel": (simulation.kernel32, "on_call"),
    }[moment]

    def handle() -> None:
        setattr(owner, name, lambda: None)
        handler()

    setattr(owner, name, handle)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["submit", "wait", "cancel"])
def test_a_keyboard_interrupt_waits_for_the_packet(simulation: Simulation, moment: str) -> None:
    async def main() -> None:
        sock = simulation.stream()
        simulation.deliver_automatically()
        hook(simulation, moment, interrupt)
        with trio.move_on_after(1):
            await sock.recv(100)
        await trio.lowlevel.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    simulation.check_quiet()


@when
@pytest.mark.parametrize("name", EVERY_RECEIVE)
async def test_a_keyboard_interrupt_is_deferred_at_every_line_of_a_receive(
    simulation: Simulation, name: str, pending: bool
) -> None:
    unprotected = []
    sock = socket_for(simulation, "default mode", is_stream=name in STREAM_RECEIVES)
    receiving = EVERY_RECEIVE[name](sock)
    before = sys.gettrace()

    def trace(frame: FrameType, *_: object) -> Any:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE) and not trio.lowlevel.currently_ki_protected():
            unprotected.append((code.co_name, frame.f_lineno))
        return trace

    async def receive() -> None:
        sys.settrace(trace)
        try:
            await receiving
        finally:
            sys.settrace(before)

    call = await receive_when(simulation, pending, lambda: arrive(sock, b"data"), receive)
    assert call.succeeded
    assert unprotected == []


@pytest.mark.parametrize("mode", ["default mode", "skip mode"])
@pytest.mark.parametrize("moment", ["submit", "wait", "submit, cancel", "wait, cancel"])
@pytest.mark.parametrize("arrival", ["before", "as it is cancelled", "just before", "after"])
async def test_an_interrupted_receive_waits_for_its_packet_and_leaves_its_data_to_the_next(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, arrival: str, moment: str, mode: str
) -> None:
    # `test_every_step` tries every call at every step, but by a tracer, which stops coverage.
    simulation.knows_answers = False
    sock = socket_for(simulation, mode)
    if arrival != "just before" or moment.startswith("submit"):
        simulation.deliver_automatically()
    if arrival == "before":
        sock.peer.send(b"data")
    elif arrival == "just before":  # so that cancelling finds nothing
        cancel = simulation.kernel32.cancel

        def cancel_too_late(handle: int, address: int) -> int:
            sock.peer.send(b"data")
            return cancel(handle, address)

        monkeypatch.setattr(simulation.kernel32, "cancel", cancel_too_late)
    elif arrival == "as it is cancelled":
        simulation.behave(prompt=False, cancel=CancelAnswer.COMPLETES)
    for each in moment.split(", "):
        hook(simulation, each, stop)
    call = await simulation.begin(sock.recv, 100)
    if arrival == "as it is cancelled":
        assert not call.done
        sock.peer.send(b"data")
        simulation.settle()
    await simulation.step()
    # An inline completion in skip mode has no packet.  If the call is interrupted, its data is lost
    # with the result, as with stock Trio.
    has_packet = mode == "default mode" or arrival != "before"
    if not has_packet and moment.startswith("wait"):
        assert call.succeeded
        return
    assert isinstance(call.error, Stop)
    simulation.deliver_automatically()
    if arrival == "after" or not has_packet:
        sock.peer.send(b"data")
    assert await sock.recv(100) == b"data"
    sock.peer.send(b"more")
    assert await sock.recv(100) == b"more"


async def test_a_woken_task_does_not_wait_for_the_packet_again(simulation: Simulation) -> None:
    operation = Operation(1)
    operation.state = State.AWAITED
    trio.lowlevel.current_task().custom_sleep_data = None  # as Trio does when it wakes a task
    assert await port.recover(operation)
    assert operation.state is State.COMPLETED


async def test_an_interrupted_receive_leaves_a_datagram_with_its_flags(
    simulation: Simulation,
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.send(pattern(150), SENDER)
    hook(simulation, "wait", stop)
    with pytest.raises(Stop):
        await sock.recvmsg(100)
    assert await sock.recvmsg(100) == (pattern(100), [], 0x100, SENDER_ADDRESS)


@pytest.mark.parametrize("what", ["cancel", "close", "shut down"])
async def test_an_interrupted_cancellation_takes_nothing_from_the_kernel(
    simulation: Simulation, what: str
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    ask = {"cancel": call.scope.cancel, "close": sock.close, "shut down": sock.receiver.cancel}
    hook(simulation, "cancel", stop)
    with pytest.raises(Stop):
        ask[what]()
    await simulation.step()
    simulation.check()
    assert not call.done
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
    again = simulation.call(other.recv, 100)
    other.peer.send(b"other")
    await simulation.step()
    assert again.value == b"other"
    assert sock.peer.handles == (what != "close")


@both_kinds
@when
async def test_giving_back_several_buffers_needs_no_memory(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, pending: bool, is_stream: bool
) -> None:
    simulation.deliver_automatically()
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    sender = () if is_stream else (SENDER,)
    with monkeypatch.context() as patch:
        if not pending:
            sock.peer.send(b"data", *sender)
        buffers = [bytearray(2), bytearray(2)]
        call = simulation.call(wsarecv, sock, buffers)
        bind = Operation._bind

        def bind_others(self: Operation, buffers: tuple[Any, int]) -> None:
            if self.memory.received or self.overlapped.InternalHigh:
                raise MemoryError
            bind(self, buffers)

        patch.setattr(Operation, "_bind", bind_others)
        await simulation.run()
        if pending:
            sock.peer.send(b"data", *sender)
        await simulation.run()
        assert call.value.nbytes == 4
        sock.peer.send(b"more", *sender)
        with pytest.raises(MemoryError):
            await sock.recv(100)
    assert buffers == [b"da", b"ta"]
    assert await sock.recv(100) == b"more"


async def test_a_failure_while_more_is_received_keeps_the_count_of_lent_memory(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation.deliver_automatically()
    data = pattern(MEDIUM + 5000)
    made = []
    for _ in range(3):
        sock = simulation.stream(made_here=True)
        await make_flow(simulation, sock, MEDIUM)
        sock.peer.send(data)
        with monkeypatch.context() as patch:
            patch.setattr(Operation, "receive_nonblocking", stop)
            with pytest.raises(Stop):
                await sock.recv(LARGE)
        received = b""
        while len(received) < len(data):
            received += await sock.recv(LARGE)
        assert received == data
        made.append(Run.current().made)
    assert made[0] == made[2]


# In line for the socket.


@pytest.mark.parametrize("has_turn", [False, True], ids=["before its turn", "as it gets its turn"])
async def test_a_task_that_is_interrupted_in_line_passes_its_turn_on(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, has_turn: bool
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    first.scope.cancel()  # its packet is on the way
    wait = trio.lowlevel.wait_task_rescheduled

    async def wait_and_be_interrupted(abort: Any) -> None:
        if has_turn:
            await wait(abort)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(trio.lowlevel, "wait_task_rescheduled", wait_and_be_interrupted)
        second = await simulation.begin(sock.recv, 100)
    third = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"data")
    await simulation.step()
    assert first.cancelled
    assert isinstance(second.error, Stop)
    assert third.value == b"data"
    assert not is_claimed(sock)


async def receive_near_the_limit(sock: SocketOverSimulation, left: int) -> bytes:
    """Receive with so many frames left to the recursion limit."""
    depth = len(inspect.stack(0))

    async def descend(frames: int) -> bytes:
        return await (descend(frames - 1) if frames else sock.recv(100))

    return await descend(sys.getrecursionlimit() - depth - left)


@pytest.mark.parametrize("left", range(2, 40))
async def test_a_task_near_the_recursion_limit_leaves_a_line_with_others_in_it(
    simulation: Simulation, left: int
) -> None:
    limit = sys.getrecursionlimit()
    simulation.knows_answers = False  # the simulated calls need frames, too
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    first.scope.cancel()  # its packet is on the way
    second = await simulation.begin(sock.recv, 100)
    third = simulation.call(receive_near_the_limit, sock, left)
    await simulation.run()
    fourth = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"data")
    await simulation.step()
    assert first.cancelled
    assert second.value == b"data"
    for data in (b"more", b"last"):
        sock.peer.send(data)
        await simulation.step()
    if third.succeeded:
        assert third.value == b"more"
        assert isinstance(fourth.error, trio.BusyResourceError)  # since the third one had to wait
    else:
        assert isinstance(third.error, RecursionError)
        assert fourth.value == b"more"
    assert await sock.recv(100) == b"last"
    assert not is_claimed(sock)
    assert sys.getrecursionlimit() == limit
