"""The rules of the overlapped engine, each on the simulation, where it can be seen to hold."""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints

import trio_wsarecv
from trio_wsarecv import SocketStream, WinsockError, _operation, _overlapped, _receiver
from trio_wsarecv._codes import NtStatus

from .simulation import Call, CancelAnswer, CrashingClock, Simulation, simulated_winsock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from .simulation.sockets import SocketOverSimulation


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated_winsock() as simulation:
        yield simulation


def events(simulation: Simulation) -> list[str]:
    return [event.what for event in simulation.kernel.log]


def in_kernel(sock: SocketOverSimulation) -> bool:
    return bool(sock.peer.requests)


# A packet follows, or it does not.


@pytest.mark.parametrize("always_pends", [False, True])
async def test_a_receive_that_succeeds_at_once_waits_for_its_packet(
    simulation: Simulation, always_pends: bool
) -> None:
    simulation.behaviour.always_pends = always_pends
    sock = simulation.stream()
    sock.peer.send(b"data")
    sock.peer.send_end()
    async with simulation.nursery() as nursery:
        for expected in (b"data", b""):
            call = Call(nursery, sock.recv, 100)
            await simulation.run()
            assert not call.done
            await simulation.step()
            assert call.value == expected
    simulation.check_quiet()


async def test_a_receive_that_pends_waits_for_its_packet(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data")
        await simulation.run()
        assert not call.done
        await simulation.step()
        assert call.value == b"data"
    simulation.check_quiet()


REFUSALS = [error for error in WinsockError if error not in (0, WinsockError.WSA_IO_PENDING)]


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@pytest.mark.parametrize("error", REFUSALS)
async def test_a_receive_that_is_refused_waits_for_nothing(
    simulation: Simulation, error: WinsockError, left: NtStatus | None
) -> None:
    simulation.behaviour.left_by_failure = left
    sock = simulation.stream()
    sock.peer.send(b"data")
    sock.peer.refusals.append(error)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        assert isinstance(call.error, OSError)
        assert call.error.winerror == error  # type: ignore[attr-defined,unused-ignore]
        again = Call(nursery, sock.recv, 100)
        await simulation.step()
        assert again.value == b"data"
    simulation.check_quiet()


async def test_a_refusal_after_a_receive_that_was_cut_off_waits_for_nothing(
    simulation: Simulation,
) -> None:
    # What the last receive left behind must not be taken for this one's.
    simulation.behaviour.left_by_failure = None
    sock = simulation.datagrams()
    sock.peer.send(b"too long")
    buffer = bytearray(4)
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv_into, buffer)
        await simulation.step()
        assert isinstance(first.error, OSError)
        sock.peer.refusals.append(WinsockError.WSAEMSGSIZE)
        second = Call(nursery, sock.recv_into, buffer)
        await simulation.run()
        assert isinstance(second.error, OSError)
        assert second.error.winerror == WinsockError.WSAEMSGSIZE  # type: ignore[attr-defined,unused-ignore]
    simulation.check_quiet()


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_datagram_that_is_cut_off_is_waited_for(
    simulation: Simulation, at_once: bool
) -> None:
    sock = simulation.datagrams()
    if at_once:
        sock.peer.send(b"0123456789")
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 4)
        await simulation.run()
        assert not call.done
        sock.peer.send(b"next")
        if not at_once:
            sock.peer.send(b"0123")
        await simulation.step()
        if at_once:
            assert isinstance(call.error, OSError)
            assert call.error.winerror == WinsockError.WSAEMSGSIZE  # type: ignore[attr-defined,unused-ignore]
            assert call.error.partial == b"0123"  # type: ignore[attr-defined]
        again = Call(nursery, sock.recv, 4)
        await simulation.step()
        assert again.value == (b"next" if at_once else b"0123")
    simulation.check_quiet()


async def test_a_datagram_that_does_not_fit_a_waiting_receive_is_cut_off(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 4)
        await simulation.run()
        sock.peer.send(b"0123456789")
        await simulation.step()
        assert isinstance(call.error, OSError)
        assert call.error.partial == b"0123"  # type: ignore[attr-defined]
    simulation.check_quiet()


# Between the submission and the wait, nothing comes in between.


@pytest.mark.parametrize("kind", ["recv", "recv_into", "receive_exactly"])
async def test_a_receive_that_is_cancelled_beforehand_is_not_submitted(
    simulation: Simulation, kind: str
) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    with trio.CancelScope() as scope:
        scope.cancel()
        if kind == "recv":
            await sock.recv(4)
        elif kind == "recv_into":
            await sock.recv_into(bytearray(4))
        else:
            await SocketStream(sock).receive_exactly(4)
    assert scope.cancelled_caught
    assert "receive" not in events(simulation)
    assert sock.stdlib.recv(4) == b"data"


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["receive", "wait", "cancel"])
def test_an_interrupt_waits_until_the_packet_is_in(simulation: Simulation, moment: str) -> None:
    async def main() -> None:
        sock = simulation.stream()
        simulation.deliver_automatically()
        if moment == "receive":
            simulation.ws2_32.on_call = interrupt
        elif moment == "wait":
            simulation.on_wait = interrupt
        else:
            simulation.kernel32.on_call = interrupt
        with trio.move_on_after(1):
            await sock.recv(100)
        await trio.lowlevel.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    simulation.check_quiet()


# The completion decides.

CANCEL_ANSWERS = [
    pytest.param(answer, arrived, id=f"{answer.name}-{arrived.decode() or 'nothing'}")
    for answer in CancelAnswer
    for arrived in (b"", b"data")
]


@pytest.mark.parametrize(("answer", "arrived"), CANCEL_ANSWERS)
async def test_a_cancelled_receive_ends_as_its_packet_says(
    simulation: Simulation, answer: CancelAnswer, arrived: bytes
) -> None:
    simulation.behaviour.cancel = answer
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        simulation.behaviour.prompt = False
        if arrived:
            sock.peer.send(arrived)
        call.scope.cancel()
        await simulation.run()
        assert not call.done
        await simulation.step()
        if arrived and answer is not CancelAnswer.ABORTED:
            assert call.value == arrived
        else:
            assert call.cancelled
            sock.peer.send(b"")
            again = Call(nursery, sock.recv, 100)
            sock.peer.send(b"more")
            await simulation.step()
            assert again.value == arrived + b"more"
    simulation.check_quiet()


async def test_data_that_is_in_before_the_cancellation_wins(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data")
        call.scope.cancel()
        await simulation.run()
        await simulation.step()
        assert call.value == b"data"
        assert call.scope.cancel_called
    assert "cancel" not in events(simulation)


async def test_a_request_to_cancel_is_not_held_against_the_next_receive(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 100)
        await simulation.run()
        first.scope.cancel()
        await simulation.step()
        assert first.cancelled
        second = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED)
        await simulation.step()
        assert not second.done
        sock.peer.send(b"data")
        await simulation.step()
        assert second.value == b"data"


async def test_the_task_sleeps_under_an_abort_function_that_posts_nothing(
    simulation: Simulation,
) -> None:
    # Trio's own posts a packet with the same address if the cancellation comes too late, and
    # its task may have been woken and be waiting at that address again when that arrives.
    sock = simulation.stream()
    buffer = bytearray(100)

    async def receive_twice() -> tuple[int, int]:
        first = await sock.recv_into(buffer)
        with trio.CancelScope(shield=True):
            second = await sock.recv_into(buffer)
        return first, second

    async with simulation.nursery() as nursery:
        call = Call(nursery, receive_twice)
        await simulation.run()
        sock.peer.send(b"one")
        call.scope.cancel()
        await simulation.step()
        assert len({event.address for event in simulation.kernel.log}) == 1
        assert in_kernel(sock)
        assert not simulation.port.queue
        sock.peer.send(b"three")
        await simulation.step()
        assert call.value == (3, 5)


async def test_the_abort_function_of_trio_would_end_the_run_there(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_as_trio_does(operation: _operation.Operation) -> None:
        with suppress(trio.Cancelled):
            await _overlapped.port.wait_overlapped(operation.handle, operation.address)

    monkeypatch.setattr(_overlapped, "_packet", wait_as_trio_does)
    sock = simulation.stream()
    buffer = bytearray(100)

    async def receive_twice() -> None:
        await sock.recv_into(buffer)
        with trio.CancelScope(shield=True):
            await sock.recv_into(buffer)

    async with simulation.nursery() as nursery:
        call = Call(nursery, receive_twice)
        await simulation.run()
        sock.peer.send(b"one")
        call.scope.cancel()
        await simulation.run()
        simulation.deliver(1)
        await simulation.run()
        ((address, task),) = simulation.port.waiters.items()
        with pytest.raises(trio.TrioInternalError):
            simulation.deliver(1)
        simulation.port.waiters[address] = task
        sock.peer.send(b"two")


# No byte is lost.


async def test_a_receive_that_a_neighbour_aborts_is_asked_for_again(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        for status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
            sock.peer.end(status)
            await simulation.step()
            assert not call.done
            assert in_kernel(sock)
        sock.peer.end(NtStatus.CANCELLED, b"some")
        await simulation.step()
        assert call.value == b"some"
    assert events(simulation).count("receive") == 3


async def test_a_receive_that_is_asked_for_again_can_still_be_cancelled(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED)
        call.scope.cancel()
        await simulation.step()
        assert call.cancelled
        assert not in_kernel(sock)


async def test_bytes_that_come_with_an_error_come_first(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CONNECTION_RESET, b"last")
        await simulation.step()
        assert call.value == b"last"
        with pytest.raises(ConnectionResetError):
            await sock.recv(100)


@pytest.mark.parametrize("into", [False, True])
async def test_a_cancelled_exact_receive_leaves_its_bytes_to_the_next(
    simulation: Simulation, into: bool
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    async with simulation.nursery() as nursery:
        if into:
            call = Call(nursery, stream.receive_exactly_into, bytearray(10))
        else:
            call = Call(nursery, stream.receive_exactly, 10)
        for piece in (b"ab", b"cd", b"e"):
            await simulation.run()
            sock.peer.send(piece)
            await simulation.step()
        assert not call.done
        call.scope.cancel()
        await simulation.step()
        assert call.cancelled
        assert sock.is_readable()
        assert await stream.receive_some(2) == b"ab"
        exact = Call(nursery, stream.receive_exactly, 5)
        await simulation.run()
        sock.peer.send(b"fg")
        await simulation.step()
        assert exact.value == b"cdefg"
    simulation.check_quiet()


async def test_an_exact_receive_that_fails_leaves_its_bytes_to_the_next(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    async with simulation.nursery() as nursery:
        call = Call(nursery, stream.receive_exactly, 10)
        await simulation.run()
        sock.peer.send(b"some")
        await simulation.step()
        sock.peer.reset()
        await simulation.step()
        assert isinstance(call.error, trio.BrokenResourceError)
        assert await stream.receive_some() == b"some"


async def test_the_end_inside_an_exact_receive_gives_what_came(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, SocketStream(sock).receive_exactly, 10)
        await simulation.run()
        sock.peer.send(b"some")
        sock.peer.send_end()
        await simulation.step()
        assert isinstance(call.error, trio_wsarecv.IncompleteReceiveError)
        assert call.error.partial == b"some"
        assert call.error.expected == 10


# One receive at a time, and each of them a checkpoint.


async def test_a_second_receiver_is_told_that_the_first_is_there(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 100)
        await simulation.run()
        calls: list[tuple[Callable[..., Any], Any]] = [
            (sock.recv, 100),
            (sock.recv_into, bytearray(5)),
            (SocketStream(sock).receive_exactly, 5),
        ]
        for function, argument in calls:
            with pytest.raises(trio.BusyResourceError):
                await function(argument)
        sock.peer.send(b"data")
        await simulation.step()
        assert first.value == b"data"
    assert events(simulation).count("receive") == 1


async def test_who_receives_exactly_is_alone_between_two_receives(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, SocketStream(sock).receive_exactly, 8)
        await simulation.run()
        sock.peer.send(b"data")
        assert not in_kernel(sock)
        with pytest.raises(trio.BusyResourceError):
            await sock.recv(100)
        await simulation.step()
        sock.peer.send(b"data")
        await simulation.step()
        assert first.value == b"datadata"


async def test_nobody_is_busy_once_the_kernel_is_done(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"one")
        second = Call(nursery, sock.recv, 100)
        await simulation.run()
        assert in_kernel(sock)
        sock.peer.send(b"two")
        await simulation.step()
        assert (first.value, second.value) == (b"one", b"two")


async def test_a_task_that_is_late_does_not_drain_what_belongs_to_the_next(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    small = _receiver.SMALLEST_POST
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 10 * small)
        await simulation.run()
        sock.peer.send(bytes(small))
        second = Call(nursery, sock.recv, 10 * small)
        await simulation.run()
        simulation.behaviour.prompt = False
        sock.peer.send(b"two")
        simulation.deliver()
        await simulation.run()
        assert first.value == bytes(small)
        await simulation.step()
        assert second.value == b"two"


async def test_every_receive_is_a_checkpoint(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.receiver.keep(b"at hand")
    with assert_checkpoints():
        assert await sock.recv(100) == b"at hand"
    calls: list[tuple[Callable[..., Any], Any]] = [
        (sock.recv, 100),
        (sock.recv_into, bytearray(100)),
        (sock.recv, 0),
        (stream.receive_some, None),
        (stream.receive_into, bytearray(100)),
        (stream.receive_exactly, 4),
        (stream.receive_exactly, 0),
    ]
    for function, argument in calls:
        sock.peer.send(b"data")
        with assert_checkpoints():
            await function(argument)
    sock.peer.refusals.append(WinsockError.WSAENOBUFS)
    with assert_checkpoints(), pytest.raises(OSError, match=r"NOBUFS|10055"):
        await sock.recv(100)


# What the kernel has outlives the kernel's need of it.


RECEIVES: dict[str, Callable[[SocketOverSimulation], Any]] = {
    "recv": lambda sock: sock.recv(100),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "recvfrom": lambda sock: sock.recvfrom(100),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(100)),
    "recvmsg": lambda sock: sock.recvmsg(100, 100),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(50), bytearray(50)], 100),
    "wsarecv": lambda sock: trio_wsarecv.wsarecv(sock, [bytearray(50), bytearray(50)]),
}


def crash(main: Callable[[], Awaitable[object]], clock: CrashingClock) -> None:
    # In a frame of its own, so that nothing of the exception holds on to the tasks.
    with pytest.raises(trio.TrioInternalError):
        trio.run(main, clock=clock)


# Trio's own tasks cannot end in peace then.
crashes = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@crashes
@pytest.mark.parametrize("method", RECEIVES)
def test_what_the_kernel_has_survives_the_end_of_the_run(
    simulation: Simulation, method: str
) -> None:
    clock = CrashingClock()
    sockets = []

    async def main() -> None:
        sock = simulation.datagrams()
        sockets.append(sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(RECEIVES[method], sock)
            await simulation.run()
            simulation.behaviour.prompt = False
            clock.crash()

    crash(main, clock)
    gc.collect()
    simulation.check()
    assert "cancel" in events(simulation)
    (request,) = simulation.kernel.outstanding.values()
    assert _operation.Operation().address != request.address
    request.answer = CancelAnswer.COMPLETES
    sockets[0].peer.send(b"a datagram that comes late")
    simulation.settle()
    assert request.done


async def test_a_coroutine_that_is_closed_leaves_its_receive_in_good_order(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    buffer = bytearray(100)
    receive = sock.recv_into(buffer)
    simulation.behaviour.prompt = False
    receive.send(None)
    receive.close()
    gc.collect()
    with pytest.raises(BufferError):
        buffer.append(0)
    again = sock.recv_into(bytearray(100))
    with pytest.raises(trio.BusyResourceError):
        again.send(None)
