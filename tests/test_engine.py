"""The rules of the overlapped engine, each on the simulation, where it can be seen to hold."""

from __future__ import annotations

import ast
import gc
import mmap
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints

import trio_wsarecv
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, _operation, _overlapped, _receiver
from trio_wsarecv._codes import NtStatus
from trio_wsarecv._statistics import counters

from .simulation import Call, CancelAnswer, CrashingClock, Simulation, simulated_winsock
from .simulation.port import Key, Packet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import NoReturn

    from .simulation.request import Result
    from .simulation.sockets import SocketOverSimulation


# A test takes milliseconds, unless it hangs.
pytestmark = pytest.mark.deadline(10)


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
            sock.receiver.eager = False
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
    async with simulation.nursery() as nursery:
        # The operation that is refused has served before.
        sock.peer.send(b"before")
        Call(nursery, sock.recv, 100)
        await simulation.step()
        sock.peer.send(b"data")
        sock.peer.refusals.append(error)
        sock.receiver.eager = False
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
    simulation.deliver_automatically()
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
    def abort(
        self: _operation.Operation, raise_cancel: Callable[[], NoReturn]
    ) -> trio.lowlevel.Abort:
        self.raise_cancel = raise_cancel
        if not simulation.kernel32.cancel(self.handle, self.address):
            simulation.port.post(Packet(self.address, Key.LATE_CANCEL))
        return trio.lowlevel.Abort.FAILED

    monkeypatch.setattr(_operation.Operation, "abort", abort)
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


async def test_a_receive_that_would_be_asked_for_again_makes_way_for_the_next(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED)
        second = Call(nursery, sock.recv, 100)
        await simulation.run()
        await simulation.step()
        assert isinstance(first.error, trio.BusyResourceError)
        assert len(sock.peer.requests) == 1
        sock.peer.send(b"data")
        await simulation.step()
        assert second.value == b"data"


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


def test_bytes_that_are_put_back_come_before_those_that_were_put_back_earlier(
    simulation: Simulation,
) -> None:
    receiver = simulation.stream().receiver
    receiver.keep(b"cd")
    receiver.keep(b"ab")
    assert receiver.take_kept(3) == b"abc"
    assert receiver.take_kept(3) == b"d"


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
            second = Call(nursery, function, argument)
            await simulation.run()
            assert isinstance(second.error, trio.BusyResourceError)
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
        second = Call(nursery, sock.recv, 100)
        await simulation.step()
        assert isinstance(second.error, trio.BusyResourceError)
        sock.peer.send(b"data")
        await simulation.step()
        assert first.value == b"datadata"


async def test_who_waits_for_bytes_at_hand_does_not_get_into_an_exact_receive(
    simulation: Simulation,
) -> None:
    # Trio wakes the two in either order.
    for _ in range(20):
        sock = simulation.stream()
        sock.receiver.keep(b"01")
        sock.peer.send(b"2345")
        async with simulation.nursery() as nursery:
            other = Call(nursery, sock.recv, 3)
            exact = Call(nursery, SocketStream(sock).receive_exactly, 10)
            await simulation.run()
            sock.peer.send(b"6789ab")
            await simulation.step()
            if other.succeeded:
                assert (other.value, exact.value) == (b"01", b"23456789ab")
            else:
                assert isinstance(other.error, trio.BusyResourceError)
                assert exact.value == b"0123456789"
            nursery.cancel_scope.cancel()


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
        sock.peer.send(b"two, three")
        second = Call(nursery, sock.recv, 3)
        await simulation.run()
        await simulation.step()
        assert first.value == bytes(small)
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
        for eager in (False, True):
            sock.receiver.eager = eager
            sock.peer.send(b"data")
            with assert_checkpoints():
                await function(argument)
    sock.receiver.eager = False
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
    sock.close()
    assert sock.peer.handles == 0
    simulation.settle()
    simulation.check()


@pytest.mark.parametrize("method", RECEIVES)
async def test_what_the_kernel_has_stays_in_place_until_the_packet_is_in(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        for _ in range(3):
            call = Call(nursery, RECEIVES[method], sock)
            await simulation.run()
            gc.collect()
            sock.peer.send(b"data", sender=SENDER)
            gc.collect()
            await simulation.step()
            assert call.value
            simulation.check_quiet()


SENDER = b"\x02\x00\x1f\x90\x7f\x00\x00\x01" + bytes(8)


async def test_a_buffer_cannot_be_resized_while_the_kernel_has_it(simulation: Simulation) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv_into, buffer)
        await simulation.run()
        with pytest.raises(BufferError):
            buffer.append(0)
        sock.peer.send(b"data")
        with pytest.raises(BufferError):
            buffer.append(0)
        await simulation.step()
        assert call.value == 4
        buffer.append(0)
    assert bytes(buffer) == b"data" + bytes(7)


@pytest.mark.parametrize("ending", ["cancelled", "closed", "failed", "refused"])
async def test_a_buffer_is_given_back_however_the_receive_ends(
    simulation: Simulation, ending: str
) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    async with simulation.nursery() as nursery:
        if ending == "refused":
            sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        call = Call(nursery, sock.recv_into, buffer)
        await simulation.run()
        if ending == "cancelled":
            call.scope.cancel()
        elif ending == "closed":
            sock.close()
        elif ending == "failed":
            sock.peer.reset()
        await simulation.step()
        assert call.error
    simulation.check_quiet()
    buffer.append(0)


# Closing.


def events_of(simulation: Simulation, *kinds: str) -> list[str]:
    return [what for what in events(simulation) if what in kinds]


@pytest.mark.parametrize("close", ["close", "__exit__", "aclose"])
async def test_closing_tells_the_receiver_and_keeps_the_handle_until_the_packet_is_in(
    simulation: Simulation, close: str
) -> None:
    simulation.behaviour.prompt = False
    sock = simulation.stream()
    handle = sock.fileno()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        if close == "close":
            sock.close()
        elif close == "__exit__":
            with sock:
                pass
        else:
            await SocketStream(sock).aclose()
        assert sock.fileno() == -1
        assert simulation.stream().fileno() != handle
        simulation.settle()
        await simulation.run()
        assert sock.peer.handles == 1
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)
        assert sock.peer.handles == 0
    ours = [event.what for event in simulation.kernel.log if event.handle == handle]
    assert ours == ["receive", "cancel", "dequeue", "close"]
    assert sock.peer.peer_saw == "end"
    simulation.check_quiet()


CLOSED = (
    NtStatus.CANCELLED,
    NtStatus.REQUEST_ABORTED,
    NtStatus.CONNECTION_ABORTED,
    NtStatus.LOCAL_DISCONNECT,
    NtStatus.HANDLES_CLOSED,
    NtStatus.INVALID_HANDLE,
)


@pytest.mark.parametrize("status", CLOSED)
async def test_however_the_system_puts_it_closing_is_closing(
    simulation: Simulation, status: NtStatus
) -> None:
    simulation.behaviour.prompt = False
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.close()
        sock.peer.end(status)
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)
    simulation.check_quiet()


async def test_data_that_is_in_before_the_closing_wins(simulation: Simulation) -> None:
    simulation.behaviour.cancel = CancelAnswer.COMPLETES
    simulation.behaviour.prompt = False
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data")
        sock.close()
        await simulation.step()
        assert call.value == b"data"
    assert sock.peer.handles == 0


@pytest.mark.parametrize("order", ["close, cancel", "cancel, close", "give up, close"])
@pytest.mark.parametrize("prompt", [True, False])
async def test_closing_goes_with_anything_in_the_same_moment(
    simulation: Simulation, order: str, prompt: bool
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        simulation.behaviour.prompt = prompt
        for what in order.split(", "):
            if what == "close":
                sock.close()
            elif what == "cancel":
                call.scope.cancel()
            else:
                sock.receiver.cancel()
        await simulation.step()
        if order == "cancel, close":
            assert call.cancelled or isinstance(call.error, trio.ClosedResourceError)
        else:
            assert isinstance(call.error, trio.ClosedResourceError)
    assert sock.peer.handles == 0
    simulation.check_quiet()


async def test_a_receive_that_a_neighbour_aborted_learns_that_the_socket_is_closed(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED)
        sock.close()
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)


async def test_closing_while_a_packet_is_on_its_way_loses_neither(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data")
        sock.close()
        reused = simulation.stream()
        other = Call(nursery, reused.recv, 100)
        await simulation.run()
        call.scope.cancel()
        await simulation.step()
        assert call.value == b"data"
        assert in_kernel(reused)
        reused.peer.send(b"other")
        await simulation.step()
        assert other.value == b"other"


async def test_closing_ends_a_receive_although_a_duplicate_is_open(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        duplicate = sock.dup()
        sock.close()
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)
        sock.peer.send(b"data")
        assert await duplicate.recv(100) == b"data"
        duplicate.close()


async def test_closing_again_does_nothing(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.close()
        sock.close()
        await simulation.step()
        sock.close()
        assert isinstance(call.error, trio.ClosedResourceError)
    assert events(simulation).count("close") == 1


@pytest.mark.parametrize("method", RECEIVES)
async def test_a_closed_socket_does_not_reach_the_kernel(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    sock.close()
    with pytest.raises(OSError, match=r"NOTSOCK|10038"):
        await RECEIVES[method](sock)
    assert "receive" not in events(simulation)


async def test_a_stream_of_a_closed_socket_is_closed(simulation: Simulation) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.close()
    calls: list[tuple[Callable[..., Any], Any]] = [
        (stream.receive_some, 4),
        (stream.receive_exactly, 4),
        (stream.receive_into, bytearray(4)),
    ]
    for function, argument in calls:
        with pytest.raises(trio.ClosedResourceError):
            await function(argument)


async def test_the_handle_is_not_given_away_while_the_kernel_has_a_receive(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        Call(nursery, sock.recv, 100)
        await simulation.run()
        with pytest.raises(trio.BusyResourceError):
            sock.detach()
        sock.close()
        await simulation.step()


@pytest.mark.parametrize("how", ["SHUT_RD", "SHUT_RDWR"])
async def test_a_receive_ends_when_its_side_is_shut_down(simulation: Simulation, how: str) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.shutdown(getattr(socket, how))
        await simulation.step()
        assert isinstance(call.error, BrokenPipeError)
        assert call.error.winerror == WinsockError.WSAESHUTDOWN  # type: ignore[attr-defined,unused-ignore]


async def test_a_receive_goes_on_when_the_sending_side_is_shut_down(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.shutdown(socket.SHUT_WR)
        sock.peer.send(b"data")
        await simulation.step()
        assert call.value == b"data"
    assert "cancel" not in events(simulation)


@crashes
def test_a_handle_whose_closing_was_left_to_a_receive_is_closed_when_the_run_ends(
    simulation: Simulation,
) -> None:
    clock = CrashingClock()
    sockets = []

    async def main() -> None:
        sock = simulation.stream()
        sockets.append(sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sock.recv, 100)
            await simulation.run()
            simulation.behaviour.prompt = False
            sock.close()
            clock.crash()

    crash(main, clock)
    gc.collect()
    assert sockets[0].peer.handles == 0
    assert events(simulation).count("close") == 1


# Errors are those of the standard library; of a stream, those of Trio.

FAILURES = {
    NtStatus.CONNECTION_RESET: ConnectionResetError,
    NtStatus.REMOTE_DISCONNECT: ConnectionResetError,
    NtStatus.CONNECTION_DISCONNECTED: ConnectionResetError,
    NtStatus.LINK_FAILED: ConnectionResetError,
    NtStatus.LOCAL_DISCONNECT: ConnectionAbortedError,
    NtStatus.CONNECTION_ABORTED: ConnectionAbortedError,
    NtStatus.IO_TIMEOUT: TimeoutError,
    NtStatus.INSUFFICIENT_RESOURCES: OSError,
    NtStatus.HOST_UNREACHABLE: OSError,
    NtStatus.PORT_UNREACHABLE: ConnectionResetError,
    NtStatus.CONNECTION_REFUSED: ConnectionRefusedError,
}


@pytest.mark.parametrize("status", FAILURES)
async def test_a_failure_is_the_exception_of_its_code(
    simulation: Simulation, status: NtStatus
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    async with simulation.nursery() as nursery:
        for function in (sock.recv, stream.receive_some):
            call = Call(nursery, function, 100)
            await simulation.run()
            sock.peer.end(status)
            await simulation.step()
            if function == sock.recv:
                assert type(call.error) is FAILURES[status]
                assert getattr(call.error, "winerror", 0) > 9999
            else:
                assert isinstance(call.error, trio.BrokenResourceError)
                assert type(call.error.__cause__) is FAILURES[status]


@pytest.mark.parametrize("pending", [True, False])
async def test_a_reset_is_a_reset_pending_or_not(simulation: Simulation, pending: bool) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.reset()
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        if pending:
            sock.peer.reset()
        await simulation.step()
        assert isinstance(call.error, ConnectionResetError)
        assert call.error.winerror == WinsockError.WSAECONNRESET  # type: ignore[attr-defined,unused-ignore]


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("method", RECEIVES)
async def test_an_unreachable_port_is_told_once_and_the_socket_goes_on(
    simulation: Simulation, method: str, pending: bool
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.send_error()
        call = Call(nursery, RECEIVES[method], sock)
        await simulation.run()
        if pending:
            sock.peer.send_error()
        await simulation.step()
        assert isinstance(call.error, ConnectionResetError)
        assert call.error.winerror == WinsockError.WSAECONNRESET  # type: ignore[attr-defined,unused-ignore]
        again = Call(nursery, RECEIVES[method], sock)
        await simulation.run()
        sock.peer.send(b"data", sender=SENDER)
        await simulation.step()
        assert again.value


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("method", ["recvmsg", "recvmsg_into", "wsarecv"])
async def test_what_returns_flags_tells_with_them_that_a_datagram_was_cut_off(
    simulation: Simulation, method: str, pending: bool
) -> None:
    sock = simulation.datagrams()
    datagram = bytes(range(200))
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.send(datagram, sender=SENDER)
        call = Call(nursery, RECEIVES[method], sock)
        await simulation.run()
        if pending:
            sock.peer.send(datagram, sender=SENDER)
        await simulation.step()
        data, *_ = call.value
        flags = call.value[1] if method == "wsarecv" else call.value[2]
        assert data == (datagram[:100] if method == "recvmsg" else 100)
        assert flags == MsgFlag.MSG_TRUNC


SUCCESSES = {
    NtStatus.SUCCESS: MsgFlag(0),
    NtStatus.RECEIVE_PARTIAL: MsgFlag.MSG_PARTIAL,
    NtStatus.RECEIVE_EXPEDITED: MsgFlag.MSG_OOB,
    NtStatus.RECEIVE_PARTIAL_EXPEDITED: MsgFlag.MSG_OOB | MsgFlag.MSG_PARTIAL,
}


@pytest.mark.parametrize("status", SUCCESSES)
async def test_success_with_a_remark_is_success(simulation: Simulation, status: NtStatus) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    async with simulation.nursery() as nursery:
        plain = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data", status)
        await simulation.step()
        assert plain.value == b"data"
        flagged = Call(nursery, trio_wsarecv.wsarecv, sock, [buffer])
        await simulation.run()
        sock.peer.send(b"more", status)
        await simulation.step()
        assert flagged.value == (4, SUCCESSES[status])


# Sizes.


async def test_what_does_not_fit_the_buffer_does_not_reach_the_kernel(
    simulation: Simulation,
) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.peer.send(b"data")
    bad: list[tuple[type[BaseException], Callable[[], Any]]] = [
        (ValueError, lambda: sock.recv_into(bytearray(4), 5)),
        (ValueError, lambda: sock.recv_into(bytearray(4), -1)),
        (ValueError, lambda: sock.recv(-1)),
        (ValueError, lambda: stream.receive_into(bytearray(4), 5)),
        (ValueError, lambda: stream.receive_into(bytearray(4), -1)),
        (ValueError, lambda: stream.receive_exactly(-1)),
        (ValueError, lambda: stream.receive_some(0)),
        (ValueError, lambda: stream.receive_some(-1)),
        (TypeError, lambda: stream.receive_exactly_into(b"1234")),
        (TypeError, lambda: sock.recv_into(b"1234")),
        (TypeError, lambda: trio_wsarecv.wsarecv(sock, [b"1234"])),
        (BufferError, lambda: stream.receive_exactly_into(memoryview(bytearray(8))[::2])),
        (BufferError, lambda: sock.recv_into(memoryview(bytearray(8))[::2])),
        (BufferError, lambda: trio_wsarecv.wsarecv(sock, [memoryview(bytearray(8))[::2]])),
    ]
    for kind, call in bad:
        with pytest.raises(kind):
            await call()
    assert "receive" not in events(simulation)
    assert await sock.recv(100) == b"data"


async def test_a_receive_stays_within_the_bytes_asked_for(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    buffer = bytearray(b"." * 10)
    sock.peer.send(b"0123456789")
    assert await sock.recv_into(buffer, 4) == 4
    assert bytes(buffer) == b"0123......"
    with memoryview(buffer)[4:6] as view:
        assert await sock.recv_into(view) == 2
    assert bytes(buffer) == b"012345...."
    halves = [bytearray(1), bytearray(0), bytearray(9)]
    assert await trio_wsarecv.wsarecv(sock, halves) == (4, 0)
    assert halves == [b"6", b"", b"789" + bytes(6)]


async def test_the_kernel_is_asked_for_a_gibibyte_at_the_most(simulation: Simulation) -> None:
    sock = simulation.stream()
    scatter = trio_wsarecv.wsarecv
    with mmap.mmap(-1, _operation.MAX_RECEIVE + 4096) as memory:
        async with simulation.nursery() as nursery:
            for arguments in ((sock.recv_into, memory), (scatter, sock, [memory, memory])):
                call = Call(nursery, *arguments)
                await simulation.run()
                (request,) = sock.peer.requests
                assert request.capacity == _operation.MAX_RECEIVE
                call.scope.cancel()
                await simulation.step()


# Nothing of Trio's is used that Trio keeps to itself.


def test_only_the_patch_uses_what_trio_keeps_to_itself() -> None:
    found = set()
    for path in Path(_overlapped.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Attribute):
                names = [ast.unparse(node)]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = [node.value]
            if any(re.match(r"trio\._[^_]", name) for name in names):
                found.add(path.name)
    assert found <= {"_install.py"}


async def test_trio_is_handed_addresses_as_integers(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[type, type]] = []
    wait_overlapped = simulation.wait_overlapped

    async def recording(handle: int, lpOverlapped: int) -> object:
        handed.append((type(handle), type(lpOverlapped)))
        return await wait_overlapped(handle, lpOverlapped)

    monkeypatch.setattr(simulation, "wait_overlapped", recording)
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.send(b"data")
    await sock.recv(4)
    assert handed == [(int, int)]


# An idle connection costs little.


async def test_a_quiet_connection_posts_little_and_drains_the_rest(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    async with simulation.nursery() as nursery:
        call = Call(nursery, stream.receive_some)
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.capacity == _receiver.SMALLEST_POST
        sock.peer.send(bytes(10_000))
        await simulation.step()
        assert call.value == bytes(10_000)
    assert events(simulation).count("receive") == 1


async def test_a_flow_that_fills_its_buffers_gets_larger_ones(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.peer.send(bytes(1 << 20))
    received = largest = 0
    while received < 1 << 20:
        received += len(await stream.receive_some())
        largest = max(largest, sock.receiver.post)
    assert largest == _receiver.LARGEST_POST
    for _ in range(2):
        sock.peer.send(b"little")
        assert await stream.receive_some() == b"little"
    assert sock.receiver.post == _receiver.SMALLEST_POST


# Where an overlapped receive cannot be, readiness serves.


@pytest.mark.parametrize("reason", ["no IFS handles", "not overlapped", "foreign port"])
async def test_where_no_packet_can_come_readiness_serves(
    simulation: Simulation, reason: str
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    if reason == "no IFS handles":
        sock.peer.ifs_handles = False
    elif reason == "not overlapped":
        sock.peer.overlapped_io = False
    else:
        simulation.register_with_iocp(sock.fileno())
    async with simulation.nursery() as nursery:
        call = Call(nursery, stream.receive_exactly, 4)
        await simulation.run()
        sock.peer.send(b"da")
        await simulation.run()
        call.scope.cancel()
        await simulation.run()
        assert call.cancelled
        sock.peer.send(b"ta")
        assert await stream.receive_exactly(4) == b"data"
        closing = Call(nursery, sock.recv, 4)
        await simulation.run()
        sock.close()
        await simulation.run()
        assert isinstance(closing.error, trio.ClosedResourceError)
    assert "receive" not in events(simulation)


def test_in_a_second_run_readiness_serves(simulation: Simulation) -> None:
    before = trio_wsarecv.statistics()
    sock = simulation.stream()

    async def main() -> None:
        simulation.deliver_automatically()
        sock.receiver.eager = False  # what is waiting needs no engine
        sock.peer.send(b"data")
        assert await sock.recv(4) == b"data"

    trio.run(main)
    assert events(simulation).count("receive") == 1
    trio.run(main)
    assert events(simulation).count("receive") == 1
    after = trio_wsarecv.statistics()
    assert after.overlapped_sockets - before.overlapped_sockets == 1
    assert after.readiness_sockets - before.readiness_sockets == 1


async def test_peeking_leaves_the_data_where_it_is(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.send(b"data")
    for _ in range(2):
        assert await sock.recv(2, socket.MSG_PEEK) == b"da"
    buffers = [bytearray(1), bytearray(8)]
    assert await trio_wsarecv.wsarecv(sock, buffers, MsgFlag.MSG_PEEK) == (4, 0)
    assert "receive" not in events(simulation)
    assert await sock.recv(10) == b"data"


# A flow that had data waiting is looked at before the kernel is asked to tell.


async def test_data_that_is_waiting_is_received_without_a_packet(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        sock.peer.send(b"one")
        first = Call(nursery, sock.recv, 100)
        await simulation.step()
        sock.peer.send(b"two")
        before = trio_wsarecv.statistics()
        second = Call(nursery, sock.recv, 100)
        await simulation.run()
        assert (first.value, second.value) == (b"one", b"two")
        assert counters.immediate == before.immediate + 1
        assert counters.overlapped == before.overlapped
        assert not simulation.port.queue
        third = Call(nursery, sock.recv_into, bytearray(100))
        await simulation.run()
        assert in_kernel(sock)
        assert not sock.receiver.eager
        sock.peer.send(b"three")
        await simulation.step()
        assert third.value == 5
        # That the next fills its buffer does not say that there is more.
        for receive, argument in ((sock.recv, 4), (sock.recv_into, bytearray(4))):
            fourth = Call(nursery, receive, argument)
            await simulation.run()
            sock.peer.send(b"four")
            await simulation.step()
            assert fourth.done
            assert not sock.receiver.eager
    simulation.check_quiet()


async def test_an_exact_receive_keeps_what_came_before_an_error(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.receiver.eager = True
    receive = sock.peer.receive

    def receive_then_reset(nbytes: int, flags: int) -> Result:
        result: Result = receive(nbytes, flags)
        sock.peer.reset()
        return result

    sock.peer.send(b"1234")
    monkeypatch.setattr(sock.peer, "receive", receive_then_reset)
    async with simulation.nursery() as nursery:
        call = Call(nursery, stream.receive_exactly, 10)
        await simulation.run()
        assert isinstance(call.error, trio.BrokenResourceError)
        rest = Call(nursery, stream.receive_some)
        await simulation.run()
        assert rest.value == b"1234"
    simulation.check_quiet()


@pytest.mark.parametrize("nbytes", [_receiver.LARGEST_POST, _receiver.LARGEST_POST + 1])
async def test_much_that_is_waiting_is_received_in_one(simulation: Simulation, nbytes: int) -> None:
    sock = simulation.stream()
    pieces = [bytes([each]) * nbytes for each in b"ab"]
    sock.receiver.post = _receiver.LARGEST_POST
    sock.receiver.eager = True
    received = []
    for piece in pieces:
        sock.peer.send(piece)
        received.append(await sock.recv(nbytes))
    assert received == pieces
    sock.peer.send_end()
    assert await sock.recv(nbytes) == b""
    assert not simulation.port.queue


async def test_memory_for_much_is_given_back_when_little_comes(simulation: Simulation) -> None:
    operation = _operation.Operation()
    for size in (_receiver.LARGEST_POST, _receiver.LARGEST_POST // 2):
        assert len(operation.own_buffer(size)) == _receiver.LARGEST_POST
    operation.aim_at_own_buffer(_receiver.SMALLEST_POST, 0)
    assert len(operation.own_buffer(_receiver.SMALLEST_POST)) == _receiver.SMALLEST_POST
    operation.aim_at_own_buffer(_receiver.SMALLEST_POST + 1, 0)
    assert len(operation.own_buffer(1)) <= 16
