"""Operations whose packet nobody waits for any more: they are kept for good, with their memory."""

from __future__ import annotations

import gc
import socket
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
import trio

from tests.receiving import RECEIVES, Receive, every_receive
from tests.simulation import Call, CancelAnswer, CrashingClock, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream

from .receives import IN_PARTS, both_engines, both_kinds, socket_for

# Trio's own tasks complain when a run crashes.
crashes = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Crashed:
    """A run that has crashed while a task received on a socket, and whose exception is kept.

    So its tasks are where they were, until the exception is dropped.

    Args:
      in_line: how many more tasks wait for their turn behind the first, which is cancelled.
      closing: whether the socket is closed before the crash.
    """

    def __init__(
        self,
        simulation: Simulation,
        sock: SocketOverSimulation,
        receive: Receive = RECEIVES["recv"],
        *,
        in_line: int = 0,
        closing: bool = False,
    ) -> None:
        self.calls: list[Call] = []
        clock = CrashingClock()

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                self.calls.append(Call(nursery, receive, sock))
                await simulation.run()
                simulation.behaviour.prompt = False
                if in_line:
                    self.calls[0].scope.cancel()
                for _ in range(in_line):
                    self.calls.append(Call(nursery, receive, sock))
                    await simulation.run()
                if closing:
                    sock.close()
                clock.crash()

        with pytest.raises(trio.TrioInternalError) as caught:
            trio.run(main, clock=clock)
        self.exception: BaseException | None = caught.value

    def drop(self) -> None:
        """Have Python finalize the tasks."""
        self.exception = None
        self.calls.clear()
        gc.collect()


@crashes
@pytest.mark.parametrize("late_iosb", [True, False])
@every_receive
def test_what_the_kernel_has_survives_the_end_of_the_run(
    simulation: Simulation, receive: Receive, late_iosb: bool
) -> None:
    simulation.behave(late_iosb=late_iosb)
    sock = simulation.datagrams()
    Crashed(simulation, sock, receive).drop()
    simulation.check()
    assert simulation.events == ["receive", "cancel"]
    (request,) = simulation.kernel.outstanding.values()
    request.answer = CancelAnswer.COMPLETES
    sock.peer.send(b"a datagram that comes late")
    simulation.settle()
    assert request.done
    simulation.check()


@crashes
@pytest.mark.parametrize("refused", [False, True])
def test_a_handle_that_a_receive_was_to_close_is_closed_when_the_run_ends(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    sock = simulation.stream()
    crashed = Crashed(simulation, sock, closing=True)
    if refused:
        monkeypatch.setattr(socket, "close", Mock(side_effect=BlockingIOError))
    crashed.drop()
    assert sock.peer.handles == refused
    assert simulation.events.count("close") == (not refused)
    simulation.check()


@crashes
def test_nothing_is_cancelled_on_a_handle_that_was_taken_away(simulation: Simulation) -> None:
    # Somebody took the handle out of the standard library's socket and closed it.  Now its number
    # serves another socket.
    sock = simulation.stream()
    handle = sock.fileno()
    crashed = Crashed(simulation, sock)
    simulation.kernel.close_handle(sock.stdlib.detach())
    stranger = simulation.stream()
    assert stranger.fileno() == handle
    crashed.drop()
    assert "cancel" not in simulation.events
    assert stranger.peer.handles == 1


@crashes
@pytest.mark.parametrize("how", IN_PARTS)
def test_after_a_crash_parts_are_received_once(simulation: Simulation, how: str) -> None:
    sock = simulation.stream(made_here=True)
    sock.peer.send(b"some")
    Crashed(simulation, sock, IN_PARTS[how]).drop()
    simulation.settle()
    sock.peer.send(b"more")
    assert sock.receiver.pushed_back.data == b"some"

    async def next_run() -> None:
        assert await SocketStream(sock).receive_exactly(8) == b"somemore"

    trio.run(next_run)


@crashes
@pytest.mark.parametrize("in_line", [0, 2])
@both_engines
@both_kinds
@every_receive
def test_after_a_crash_the_next_run_receives_although_the_tasks_are_kept(
    simulation: Simulation, receive: Receive, is_stream: bool, engine: str, in_line: int
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    in_line = in_line if engine != "readiness" else 0
    crashed = Crashed(simulation, sock, receive, in_line=in_line)
    simulation.behaviour.prompt = True

    async def main() -> None:
        async with simulation.nursery() as nursery:
            call = Call(nursery, receive, sock)
            await simulation.run()
            sock.peer.send(b"data")
            await simulation.step()
            assert call.succeeded
        assert not sock.peer.waiting
        simulation.check()

    trio.run(main)
    crashed.drop()
    trio.run(main)
    sock.close()
    assert sock.peer.handles == 0


@crashes
@pytest.mark.parametrize("where", ["outside of a run", "in the next run", "by its finalizer"])
@both_kinds
@every_receive
def test_a_socket_is_closed_at_once_after_a_crash_although_the_tasks_are_kept(
    simulation: Simulation, receive: Receive, is_stream: bool, where: str
) -> None:
    async def close() -> None:
        sock.close()

    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    crashed = Crashed(simulation, sock, receive)
    handle = sock.fileno()
    if where == "in the next run":
        trio.run(close)
    else:
        (sock if where == "outside of a run" else sock.stdlib).close()
    assert sock.peer.handles == 0
    # The number serves another socket now, whose receive nobody may cancel.
    stranger = simulation.stream()
    assert stranger.fileno() == handle
    events = simulation.events
    crashed.calls[0].scope.cancel()
    crashed.drop()
    assert simulation.events == events
    assert stranger.peer.handles == 1


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.abandons
async def test_a_coroutine_that_is_closed_abandons_its_operation(
    simulation: Simulation, interrupted: bool
) -> None:
    def interrupt() -> None:
        simulation.on_wait = lambda: None
        raise ZeroDivisionError  # as a signal handler may; then the packet is awaited

    def start_and_close(receiving: Any) -> None:
        simulation.driver = None  # or this task would be given the packet
        receiving.send(None)
        receiving.close()

    simulation.behave(prompt=False)
    sock = simulation.stream()
    buffer = bytearray(100)
    if interrupted:
        simulation.on_wait = interrupt
    start_and_close(sock.recv_into(buffer))
    gc.collect()
    with pytest.raises(BufferError):
        buffer.append(0)
    # Another operation serves the socket, and nobody cancels the abandoned one any more.
    start_and_close(sock.recv(100))
    first, second = sock.peer.requests
    assert first.address != second.address
    events = simulation.events
    sock.shutdown(socket.SHUT_RD)
    assert simulation.events == events
    sock.close()
    assert sock.peer.handles == 0
    simulation.settle()
    simulation.check()


@pytest.mark.abandons
async def test_an_operation_that_no_task_can_wait_for_keeps_its_memory(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "wait_overlapped", AsyncMock(side_effect=RecursionError))
    sock = simulation.stream()
    buffer = bytearray(100)
    with pytest.raises(RecursionError):
        await sock.recv_into(buffer)
    with pytest.raises(BufferError):
        buffer.append(0)
    assert simulation.events == ["receive", "cancel"]
