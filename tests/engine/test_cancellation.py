"""Cancellation is a request to the kernel; the completion decides, and no byte is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest
import trio

from tests.peers import pattern
from tests.receiving import Receive, every_receive
from tests.simulation import Call, Simulation
from tests.simulation.packets import Packet
from tests.simulation.port import Key
from trio_wsarecv import SocketStream, WinsockError, wsarecv
from trio_wsarecv._engine.overlapped import OverlappedEngine
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.status import Asked


@every_receive
async def test_a_receive_that_is_cancelled_beforehand_is_not_submitted(
    simulation: Simulation, receive: Receive
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.send(b"data")
    with trio.CancelScope() as scope:
        scope.cancel()
        await receive(sock)
    assert scope.cancelled_caught
    assert not simulation.events
    assert await sock.recv(4) == b"data"


class CancelsAtACheckpoint(trio.abc.Instrument):
    """Cancels a call that lets other tasks run when it has asked the kernel."""

    def __init__(self, call: Call, has_asked: Callable[[], bool]) -> None:
        self._call = call
        self._has_asked = has_asked

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._has_asked() and not self._call.done:
            self._call.scope.cancel()


INLINE: dict[str, tuple[Receive, object]] = {
    "recv": (lambda sock: sock.recv(100), pattern(100)),
    "recv_into": (lambda sock: sock.recv_into(bytearray(100)), 100),
    "recvmsg": (lambda sock: sock.recvmsg(100), (pattern(100), [], 0, None)),
    "wsarecv": (lambda sock: wsarecv(sock, [bytearray(100)]), (100, 0)),
    "receive_exactly": (lambda sock: SocketStream(sock).receive_exactly(100), pattern(100)),
}


@pytest.mark.parametrize("overlapped", [True, False])
@pytest.mark.parametrize(("receive", "expected"), INLINE.values(), ids=INLINE)
async def test_a_receive_that_completed_inline_is_not_cancelled_at_its_checkpoint(
    simulation: Simulation, receive: Receive, expected: object, overlapped: bool
) -> None:
    sock = simulation.stream(made_here=True)
    sock.peer.ifs_handles = overlapped
    sock.peer.send(pattern(5000))
    call = simulation.call(receive, sock)
    cancels = CancelsAtACheckpoint(call, lambda: len(sock.peer.waiting) < 5000)
    trio.lowlevel.add_instrument(cancels)
    await simulation.run()
    trio.lowlevel.remove_instrument(cancels)
    assert call.scope.cancel_called
    assert call.value == expected


@pytest.mark.parametrize("overlapped", [True, False])
async def test_an_error_that_is_told_once_is_not_lost_to_a_cancellation(
    simulation: Simulation, overlapped: bool
) -> None:
    sock = simulation.stream(made_here=True)
    sock.peer.ifs_handles = overlapped
    sock.peer.refusals.append(WinsockError.WSAECONNRESET)
    call = simulation.call(sock.recv, 100)
    cancels = CancelsAtACheckpoint(call, lambda: not sock.peer.refusals)
    trio.lowlevel.add_instrument(cancels)
    await simulation.run()
    trio.lowlevel.remove_instrument(cancels)
    assert call.scope.cancel_called
    assert isinstance(call.error, ConnectionResetError)


async def test_a_request_to_cancel_is_not_held_against_the_next_receive(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    first.scope.cancel()
    await simulation.step()
    assert first.cancelled
    second = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.CANCELLED)
    await simulation.step()
    assert not second.done
    sock.peer.send(b"data")
    await simulation.step()
    assert second.value == b"data"


async def test_the_packet_alone_wakes_a_cancelled_task(simulation: Simulation) -> None:
    simulation.behave(prompt=False)
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    call.scope.cancel()
    for _ in range(3):
        await simulation.run()
        assert not call.done
    assert simulation.events == ["receive", "cancel"]
    await simulation.step()
    assert call.cancelled


# The abort function.


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

    call = await simulation.begin(receive_twice)
    sock.peer.send(b"one")
    call.scope.cancel()
    await simulation.step()
    assert len({event.address for event in simulation.kernel.log}) == 1
    assert simulation.in_kernel(sock)
    assert not simulation.port.queue
    sock.peer.send(b"three")
    await simulation.step()
    assert call.value == (3, 5)


async def test_the_abort_function_of_trio_would_end_the_run_there(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def abort(
        engine: OverlappedEngine, raise_cancel: Callable[[], NoReturn]
    ) -> trio.lowlevel.Abort:
        operation = engine.operation
        assert operation is not None
        operation.raise_cancel = raise_cancel
        operation.asked = Asked.CANCEL
        if not simulation.kernel32.cancel(operation.handle, operation.address):
            simulation.port.post(Packet(operation.address, Key.LATE_CANCEL))
        return trio.lowlevel.Abort.FAILED

    monkeypatch.setattr(OverlappedEngine, "_abort", abort)
    sock = simulation.stream()
    buffer = bytearray(100)

    async def receive_twice() -> None:
        await sock.recv_into(buffer)
        with trio.CancelScope(shield=True):
            await sock.recv_into(buffer)

    call = await simulation.begin(receive_twice)
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


# What nobody here cancelled.


@every_receive
async def test_a_receive_that_was_aborted_by_others_is_repeated(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock)
    for status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
        sock.peer.end(status)
        await simulation.step()
        assert not call.done
        assert simulation.in_kernel(sock)
    sock.peer.send(b"data")
    await simulation.step()
    assert call.succeeded
    assert simulation.events.count("receive") == 3


async def test_bytes_that_come_with_an_abort_are_the_result(simulation: Simulation) -> None:
    sock = simulation.stream()
    for cancelled in (False, True):
        call = await simulation.begin(sock.recv, 100)
        sock.peer.end(NtStatus.CANCELLED, b"some")
        if cancelled:
            call.scope.cancel()
        await simulation.step()
        assert call.value == b"some"


async def test_a_receive_that_is_about_to_be_repeated_can_be_cancelled(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.CANCELLED)
    call.scope.cancel()
    await simulation.step()
    assert call.cancelled
    assert not simulation.in_kernel(sock)


async def test_cancelling_one_receive_leaves_those_on_duplicates_waiting(
    simulation: Simulation,
) -> None:
    # The kernel gives up all receives of a connection when one of them is cancelled.
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    with sock.dup() as duplicate:
        other = await simulation.begin(duplicate.recv, 100)
        other.scope.cancel()
        await simulation.step()
        assert other.cancelled
    assert not call.done
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
