"""Operations whose packet nobody waits for any more: they stay as they are for good."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import outcome
import pytest
import trio

from tests.engine.flows import LARGE, make_flow
from tests.peers import Counted
from tests.programs import environment
from tests.receiving import RECEIVES, Receive, every_receive
from tests.simulation import Call, CancelAnswer, CrashingClock, Simulation
from tests.simulation.behaviour import IosbWrite
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, wsarecv
from trio_wsarecv._winsock import calls

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


@pytest.mark.abandons
async def test_a_coroutine_that_is_closed_abandons_its_receive(simulation: Simulation) -> None:
    sock = simulation.stream()
    simulation.driver = None  # since this test plays the run loop
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


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.abandons
async def test_memory_that_is_finalized_before_the_task_is_saved_by_it(
    simulation: Simulation, saved: bool
) -> None:
    sock = simulation.datagrams()
    simulation.driver = None  # since this test plays the run loop
    simulation.behave(prompt=False)
    receive: Any = sock.recvmsg(100)
    receive.send(None)
    engine: Any = sock.receiver.engine
    # As the garbage collector does, which finalizes in any order.
    calls.ffi.release(engine.operation._control)
    if saved:
        receive.close()
        simulation.check()
    else:
        with pytest.raises(AssertionError, match="memory was freed"):
            simulation.check()
        simulation.kernel.complaints.clear()
        sock.peer.requests.clear()  # the kernel must not write there
        receive.close()
    sock.close()


@pytest.mark.abandons
async def test_where_no_task_can_wait_for_the_packet_the_memory_is_left_to_the_kernel(
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


@pytest.mark.abandons
async def test_after_a_closed_coroutine_another_operation_serves_the_socket(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    simulation.driver = None  # since this test plays the run loop
    simulation.behave(prompt=False)
    for _ in range(2):
        receive: Any = sock.recv(100)
        receive.send(None)
        receive.close()
    first, second = sock.peer.requests
    assert first.address != second.address


@pytest.mark.abandons
async def test_large_memory_of_an_abandoned_operation_is_not_lent_again(
    simulation: Simulation,
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    for each in (sock, other):
        await make_flow(simulation, each)
    simulation.driver = None  # since this test plays the run loop
    simulation.behave(prompt=False)
    receive: Any = sock.recv(LARGE)
    receive.send(None)
    while not sock.peer.requests:
        receive.send(outcome.Value(None))  # at a checkpoint
    receive.close()
    (abandoned,) = sock.peer.requests
    assert abandoned.capacity == LARGE
    sock.peer.requests.clear()  # its packet is long in coming
    async with simulation.nursery():
        call = await simulation.begin(other.recv, LARGE)
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


# A crash whose exception somebody keeps, and so all tasks of the run as they were.


class Crashed:
    """A run that has crashed while a task received on a socket, and whose exception is kept."""

    def __init__(
        self, simulation: Simulation, sock: SocketOverSimulation, receive: Receive, in_line: int = 0
    ) -> None:
        self.simulation = simulation
        self.clock = CrashingClock()
        self.calls: list[Call] = []
        self.exception: BaseException | None = None
        try:
            trio.run(self._main, sock, receive, in_line, clock=self.clock)
        except trio.TrioInternalError as exc:
            self.exception = exc
        assert self.exception is not None
        simulation.behaviour.prompt = True

    async def _main(self, sock: SocketOverSimulation, receive: Receive, in_line: int) -> None:
        async with trio.open_nursery() as nursery:
            self.calls.append(Call(nursery, receive, sock))
            await self.simulation.run()
            if in_line:
                self.simulation.behaviour.prompt = False
                self.calls[0].scope.cancel()
            for _ in range(in_line):
                self.calls.append(Call(nursery, receive, sock))
                await self.simulation.run()
            self.clock.crash()

    def drop(self) -> None:
        """Have Python finalize the tasks."""
        self.exception = None
        self.calls.clear()
        gc.collect()


@crashes
@pytest.mark.parametrize("in_line", [0, 2])
@pytest.mark.parametrize("overlapped", [True, False])
@every_receive
def test_after_a_crash_the_next_run_receives_although_the_tasks_are_kept(
    simulation: Simulation, receive: Receive, overlapped: bool, in_line: int
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        sock.peer.ifs_handles = overlapped
        crashed = Crashed(simulation, sock, receive, in_line if overlapped else 0)

        async def main(sock: SocketOverSimulation = sock) -> None:
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
@pytest.mark.parametrize("where", ["outside of a run", "in the next run"])
@every_receive
def test_after_a_crash_closing_closes_the_handle_at_once_although_the_tasks_are_kept(
    simulation: Simulation, receive: Receive, where: str
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        crashed = Crashed(simulation, sock, receive)
        handle = sock.fileno()

        async def main(sock: SocketOverSimulation = sock) -> None:
            sock.close()

        if where == "in the next run":
            trio.run(main)
        else:
            sock.close()
        assert sock.peer.handles == 0
        # The number serves another socket now, whose receive nobody may cancel.
        stranger = simulation.stream()
        assert stranger.fileno() == handle
        events = simulation.events
        crashed.calls[0].scope.cancel()
        crashed.drop()
        assert simulation.events == events
        stranger.close()


@crashes
def test_of_a_socket_that_is_finalized_after_a_crash_nothing_is_cancelled_any_more(
    simulation: Simulation,
) -> None:
    # Python may finalize the socket before the tasks, and its handle be another's by then.
    sock = simulation.stream()
    crashed = Crashed(simulation, sock, lambda sock: sock.recv(100))
    handle = sock.fileno()
    sock.stdlib.close()
    stranger = simulation.stream()
    assert stranger.fileno() == handle
    events = simulation.events
    crashed.calls[0].scope.cancel()
    crashed.drop()
    assert simulation.events == events
    assert stranger.peer.handles == 1


class CrashesThen(trio.abc.Instrument):
    """Ends the run when something has happened."""

    def __init__(self, clock: CrashingClock, has_happened: Callable[[], bool]) -> None:
        self._clock = clock
        self._has_happened = has_happened

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._has_happened():
            self._clock.crash()


PEEK = MsgFlag.MSG_PEEK
PEEKS: dict[str, Receive] = {
    "recv, peeking": lambda sock: sock.recv(100, PEEK),
    "recv_into, peeking": lambda sock: sock.recv_into(bytearray(100), 0, PEEK),
    "recvfrom, peeking": lambda sock: sock.recvfrom(100, PEEK),
    "recvmsg, peeking": lambda sock: sock.recvmsg(100, 0, PEEK),
    "wsarecv, peeking": lambda sock: wsarecv(sock, [bytearray(50), bytearray(50)], PEEK),
}


@crashes
@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])
@pytest.mark.parametrize("how", [*RECEIVES, *PEEKS])
def test_what_a_receive_has_at_its_last_checkpoint_does_not_come_twice_after_a_crash(
    simulation: Simulation, how: str, is_stream: bool
) -> None:
    receive = RECEIVES.get(how) or PEEKS[how]
    make = simulation.stream if is_stream else simulation.datagrams
    sock = make(made_here=True)
    sock.peer.send(b"data")
    clock = CrashingClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            counted = Counted()
            trio.lowlevel.add_instrument(CrashesThen(clock, lambda: counted.wsarecv_calls > 0))
            nursery.start_soon(receive, sock)

    crash(main, clock)
    gc.collect()
    assert not sock.receiver.pushed_back.something

    async def next_run() -> None:
        taken = not sock.peer.waiting
        assert taken is (how in RECEIVES)
        sock.peer.send(b"more")
        for data in (b"more",) if taken else (b"data", b"more"):
            assert await sock.recv(4) == data

    trio.run(next_run)


@crashes
@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL"])
def test_what_has_come_of_a_receive_of_several_parts_is_there_once_after_a_crash(
    simulation: Simulation, kind: str
) -> None:
    async def receive(sock: SocketOverSimulation) -> None:
        if kind == "receive_exactly":
            await SocketStream(sock).receive_exactly(10)
        else:
            await wsarecv(sock, [bytearray(10)], MsgFlag.MSG_WAITALL)

    sock = simulation.stream()
    clock = CrashingClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            simulation.deliver_automatically()
            sock.peer.send(b"some")
            nursery.start_soon(receive, sock)
            await simulation.run()
            assert simulation.in_kernel(sock)
            clock.crash()

    crash(main, clock)
    gc.collect()
    sock.peer.send(b"more")
    assert sock.receiver.pushed_back.data == b"some"

    async def next_run() -> None:
        assert await SocketStream(sock).receive_exactly(8) == b"somemore"

    trio.run(next_run)


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
