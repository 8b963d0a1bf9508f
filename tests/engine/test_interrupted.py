"""A failure at any point, of memory or by a signal handler, costs no data and no turn."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.engine.flows import LARGE, MEDIUM, make_flow
from tests.peers import pattern
from tests.receiving import SENDER, is_claimed
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import wsarecv
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._engine.send import send
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation
from trio_wsarecv._winsock.status import judge

from .receives import both_kinds, socket_for, when

JUDGE = "trio_wsarecv._engine.overlapped.judge"


class Stop(Exception):
    """Raised by a signal handler."""


class LateError(TimeoutError):
    """Raised by a signal handler, too; an `OSError`, as some results of receives are."""


def once(function: Callable[..., Any], error: type[BaseException]) -> Callable[..., Any]:
    """Return a function that raises when it is called first, and then is the given one."""
    errors = [error]

    def call(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return function(*arguments, **options)

    return call


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
            patch.setattr(Operation, "receive_nonblocking", once(lambda _: 0, MemoryError))
            with pytest.raises(MemoryError):
                await sock.recv(LARGE)
        received = b""
        while len(received) < len(data):
            received += await sock.recv(LARGE)
        assert received == data
        made.append(Run.current().made)
    assert made[0] == made[2]


@pytest.mark.parametrize("error", [Stop, LateError])
async def test_bytes_are_kept_whatever_a_signal_handler_raises(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"data")
    with monkeypatch.context() as patch:
        patch.setattr(Operation, "unpack", once(Operation.unpack, error))
        await simulation.step()
    assert isinstance(call.error, error)
    simulation.deliver_automatically()
    sock.peer.send(b"more")
    assert await sock.recv(100) == b"data"


@pytest.mark.parametrize(
    ("status", "came", "expected"),
    [
        (NtStatus.CONNECTION_RESET, b"some", [b"some", ConnectionResetError]),
        (NtStatus.CONNECTION_RESET, b"", [ConnectionResetError]),
        # Another receive may have the memory that this one lacked.
        (NtStatus.INSUFFICIENT_RESOURCES, b"some", [b"some", b"data"]),
        (NtStatus.INSUFFICIENT_RESOURCES, b"", [b"data"]),
    ],
)
async def test_an_interrupted_receive_leaves_its_bytes_and_its_error_to_the_next(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    status: NtStatus,
    came: bytes,
    expected: list[Any],
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(status, came)
    with monkeypatch.context() as patch:
        patch.setattr(JUDGE, once(judge, RecursionError))
        await simulation.step()
    assert isinstance(call.error, RecursionError)
    simulation.deliver_automatically()
    sock.peer.send(b"data")
    for each in expected:
        if isinstance(each, bytes):
            assert await sock.recv(100) == each
        else:
            with pytest.raises(each):
                await sock.recv(100)


async def cancelled_receive(simulation: Simulation) -> tuple[SocketOverSimulation, Call]:
    """Return a socket, and a receive on it that is cancelled and whose packet is on the way."""
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    first.scope.cancel()
    return sock, first


async def check_next(simulation: Simulation, sock: SocketOverSimulation) -> None:
    """Check that a receive gets its turn, and gives it back."""
    third = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"data")
    await simulation.step()
    assert third.value == b"data"
    assert not is_claimed(sock)


async def test_a_task_that_is_interrupted_in_line_leaves_it(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock, first = await cancelled_receive(simulation)

    class Line(dict[Any, Any]):
        def __setitem__(self, task: Any, ends: Any) -> None:
            super().__setitem__(task, ends)
            raise Stop

    engine = sock.receiver.engine
    assert engine is not None
    with monkeypatch.context() as patch:
        patch.setattr(engine.claim, "line", Line())
        second = await simulation.begin(sock.recv, 100)
        assert not engine.claim.line
    assert isinstance(second.error, Stop)
    await simulation.step()
    assert first.cancelled
    await check_next(simulation, sock)


async def test_a_task_that_is_interrupted_as_its_turn_comes_passes_it_on(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock, first = await cancelled_receive(simulation)
    sleep = trio.lowlevel.wait_task_rescheduled

    async def sleep_and_fail(abort: Any) -> None:
        await sleep(abort)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(trio.lowlevel, "wait_task_rescheduled", sleep_and_fail)
        second = await simulation.begin(sock.recv, 100)
    third = await simulation.begin(sock.recv, 100)
    await simulation.step()
    assert first.cancelled
    assert isinstance(second.error, Stop)
    sock.peer.send(b"data")
    await simulation.step()
    assert third.value == b"data"
    await check_next(simulation, sock)


@pytest.mark.parametrize("left", range(2, 16))
async def test_a_task_near_the_recursion_limit_leaves_a_line_with_others_in_it(
    simulation: Simulation, left: int
) -> None:
    sock, first = await cancelled_receive(simulation)
    second = await simulation.begin(sock.recv, 100)
    third = simulation.call(receive_near_the_limit, sock, left)
    await simulation.run()
    sock.peer.send(b"data")
    await simulation.step()
    assert first.cancelled
    assert second.value == b"data"
    sock.peer.send(b"more")
    await simulation.step()
    if third.succeeded:
        assert third.value == b"more"
    else:
        assert isinstance(third.error, RecursionError)
        assert await sock.recv(100) == b"more"
    assert not is_claimed(sock)


async def receive_near_the_limit(sock: SocketOverSimulation, left: int) -> bytes:
    """Receive with so many frames left to the recursion limit."""
    depth, frame = 0, inspect.currentframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back

    async def descend(frames: int) -> bytes:
        return await (descend(frames - 1) if frames else sock.recv(100))

    return await descend(sys.getrecursionlimit() - depth - left)


async def test_the_recursion_limit_is_restored_if_a_signal_handler_runs_as_it_is_raised(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock, _ = await cancelled_receive(simulation)
    second = await simulation.begin(sock.recv, 100)
    limit, set_limit = sys.getrecursionlimit(), sys.setrecursionlimit
    interrupted: list[int] = []

    def set_limit_and_fail(number: int) -> None:
        set_limit(number)
        if number > limit and not interrupted:
            interrupted.append(number)
            raise Stop

    monkeypatch.setattr(sys, "setrecursionlimit", set_limit_and_fail)
    await simulation.step()
    monkeypatch.undo()
    assert interrupted
    assert sys.getrecursionlimit() == limit
    # The interrupted task has not woken the second one.
    engine = sock.receiver.engine
    assert engine is not None
    engine.claim.release()
    sock.peer.send(b"data")
    await simulation.step()
    assert second.value == b"data"


def test_a_send_that_waits_can_be_closed(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_for_ever(_: object) -> None:
        await trio.sleep_forever()

    def attempt() -> int:
        raise BlockingIOError

    closed = []

    async def program() -> None:
        try:
            await send(simulation.stream().stdlib, attempt)
        finally:
            closed.append(True)

    async def main() -> None:
        coroutine = program()
        coroutine.send(None)
        coroutine.close()  # as at the end of a run that has crashed

    monkeypatch.setattr(trio.lowlevel, "wait_writable", wait_for_ever)
    trio.run(main)
    assert closed
