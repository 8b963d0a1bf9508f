"""Operations whose packet nobody waits for any more: they stay as they are for good."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import outcome
import pytest
import trio

from tests.engine.flows import LARGE, make_flow
from tests.programs import environment
from tests.receiving import every_receive
from tests.simulation import Call, CancelAnswer, CrashingClock, Simulation
from tests.simulation.behaviour import IosbWrite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.receiving import Receive
    from tests.simulation.sockets import SocketOverSimulation

pytestmark = pytest.mark.deadline(10)

# Trio's own tasks cannot end in peace when a run crashes.
crashes = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def crash(main: Callable[[], Awaitable[object]], clock: CrashingClock) -> None:
    # In a frame of its own, so that nothing of the exception holds on to the tasks.
    with pytest.raises(trio.TrioInternalError):
        trio.run(main, clock=clock)


def crash_while_receiving(
    simulation: Simulation,
    sock: SocketOverSimulation,
    receive: Receive,
    before: Callable[[], object] = lambda: None,
) -> None:
    """End a run so that Trio drops its tasks where they are, something having happened before."""
    clock = CrashingClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, sock)
            await simulation.run()
            simulation.behaviour.prompt = False
            before()
            clock.crash()

    crash(main, clock)
    gc.collect()


@crashes
@pytest.mark.parametrize("iosb", IosbWrite)
@every_receive
def test_what_the_kernel_has_survives_the_end_of_the_run(
    simulation: Simulation, receive: Receive, iosb: IosbWrite
) -> None:
    simulation.behave(iosb=iosb)
    sock = simulation.datagrams()
    crash_while_receiving(simulation, sock, receive)
    simulation.check()
    assert simulation.events == ["receive", "cancel"]
    (request,) = simulation.kernel.outstanding.values()
    request.answer = CancelAnswer.COMPLETES
    sock.peer.send(b"a datagram that comes late")
    simulation.settle()
    assert request.done
    simulation.check()


@crashes
def test_memory_of_an_abandoned_operation_is_not_used_again(simulation: Simulation) -> None:
    sock = simulation.stream()
    crash_while_receiving(simulation, sock, lambda sock: sock.recv(100))
    (abandoned,) = sock.peer.requests

    async def main() -> None:
        others = [simulation.stream() for _ in range(5)]
        async with simulation.nursery() as nursery:
            for other in others:
                Call(nursery, other.recv, 100)
            await simulation.run()
            addresses = {request.address for other in others for request in other.peer.requests}
            assert len(addresses) == 5
            assert abandoned.address not in addresses
            nursery.cancel_scope.cancel()

    trio.run(main)


@crashes
def test_after_a_crash_the_socket_is_received_on_in_the_next_run(simulation: Simulation) -> None:
    sock = simulation.stream()
    crash_while_receiving(simulation, sock, lambda sock: sock.recv(100))
    simulation.settle()
    sock.peer.send(b"data")

    async def main() -> None:
        assert await sock.recv(100) == b"data"

    trio.run(main)


async def test_a_coroutine_that_is_closed_abandons_its_receive(simulation: Simulation) -> None:
    sock = simulation.stream()
    buffer = bytearray(100)
    receive: Any = sock.recv_into(buffer)
    simulation.behave(prompt=False)
    receive.send(None)
    receive.close()
    gc.collect()
    with pytest.raises(BufferError):
        buffer.append(0)
    sock.close()
    assert sock.peer.handles == 0
    simulation.settle()
    simulation.check()


async def test_what_fails_before_the_task_sleeps_leaves_the_memory_to_the_kernel(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_overlapped(handle: int, lpOverlapped: int) -> NoReturn:
        raise RecursionError

    monkeypatch.setattr(simulation, "wait_overlapped", wait_overlapped)
    sock = simulation.stream()
    buffer = bytearray(100)
    with pytest.raises(RecursionError):
        await sock.recv_into(buffer)
    with pytest.raises(BufferError):
        buffer.append(0)
    assert simulation.events == ["receive", "cancel"]


async def test_after_a_closed_coroutine_another_operation_serves_the_socket(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    simulation.behave(prompt=False)
    for _ in range(2):
        receive: Any = sock.recv(100)
        receive.send(None)
        receive.close()
    first, second = sock.peer.requests
    assert first.address != second.address


async def test_large_memory_of_an_abandoned_operation_is_not_lent_again(
    simulation: Simulation,
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    for each in (sock, other):
        await make_flow(simulation, each)
    simulation.behave(prompt=False)
    receive: Any = sock.recv(LARGE)
    receive.send(None)
    while not sock.peer.requests:
        receive.send(outcome.Value(None))  # at a checkpoint
    receive.close()
    (abandoned,) = sock.peer.requests
    assert abandoned.capacity == LARGE
    sock.peer.requests.clear()  # its packet is long in coming
    async with simulation.nursery() as nursery:
        call = Call(nursery, other.recv, LARGE)
        await simulation.run()
        (request,) = other.peer.requests
        assert request.capacity == LARGE
        assert request.buffers[0] != abandoned.buffers[0]
        call.scope.cancel()
        await simulation.run()
        other.peer.requests[0].answer = CancelAnswer.COMPLETES
        other.peer.send(b"data")
        other.peer.settle()
        await simulation.deliver_one_by_one(1)
        assert call.value == b"data"


@crashes
def test_a_handle_whose_closing_was_left_to_a_receive_is_closed_when_the_run_ends(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    crash_while_receiving(simulation, sock, lambda sock: sock.recv(100), before=sock.close)
    assert sock.peer.handles == 0
    assert simulation.events.count("close") == 1


@crashes
def test_what_the_kernel_has_survives_although_its_handle_cannot_be_closed(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = simulation.stream()

    def refuse(handle: int) -> None:
        raise BlockingIOError

    def close() -> None:
        sock.close()
        monkeypatch.setattr(socket, "close", refuse)

    crash_while_receiving(simulation, sock, lambda sock: sock.recv(100), before=close)
    simulation.check()


@crashes
def test_an_operation_on_a_handle_that_is_not_ours_any_more_is_not_cancelled(
    simulation: Simulation,
) -> None:
    # Somebody took the handle out of the standard library's socket and closed it; the number
    # serves another socket now.
    sock = simulation.stream()
    strangers = []

    def take_handle() -> None:
        handle = sock.stdlib.detach()
        simulation.kernel.close_handle(handle)
        strangers.append(simulation.stream())
        assert strangers[0].fileno() == handle

    crash_while_receiving(simulation, sock, lambda sock: sock.recv(100), before=take_handle)
    assert "cancel" not in simulation.events
    assert strangers[0].peer.handles == 1


CALLBACKS = """
import atexit
import trio, cffi, outcome, ctypes, socket, uuid
before = atexit._ncallbacks()
import trio_wsarecv
print(atexit._ncallbacks() - before)
"""


def test_nothing_of_the_package_waits_at_the_exit_of_the_interpreter() -> None:
    output = subprocess.run(
        [sys.executable, "-c", CALLBACKS],
        stdin=subprocess.PIPE,
        capture_output=True,
        env=environment(),
        timeout=50,
        check=True,
    ).stdout
    assert output.split() == [b"0"]
