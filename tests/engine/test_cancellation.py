"""Cancellation is a request to the kernel; the completion decides, and no byte is lost."""

from __future__ import annotations

import pytest
import trio

from tests.peers import pattern
from tests.receiving import RECEIVES, AfterFirstStep, Receive, every_receive
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

from .receives import every_engine, stream_for, value_of


@every_receive
async def test_a_cancelled_task_submits_nothing(simulation: Simulation, receive: Receive) -> None:
    stream, datagrams = simulation.stream(), simulation.datagrams()
    stream.receiver.pushed_back.add(b"data")
    datagrams.peer.send(b"data")
    for sock in (stream, datagrams):
        with trio.CancelScope() as scope:
            scope.cancel()
            await receive(sock)
        assert scope.cancelled_caught
        assert not simulation.events
        assert await value_of(simulation, sock.recv, 4) == b"data"
        simulation.kernel.log.clear()


async def cancel_after_the_first_step(
    simulation: Simulation, receive: Receive, sock: SocketOverSimulation
) -> Call:
    """Cancel a receive when it has called Winsock and lets other tasks run."""
    trio.lowlevel.add_instrument(AfterFirstStep(lambda: call.scope.cancel()))
    call = simulation.call(receive, sock)
    await simulation.step()
    assert call.scope.cancel_called
    return call


INLINE: dict[str, tuple[Receive, object]] = {
    "recv": (RECEIVES["recv"], pattern(100)),
    "recv_into": (RECEIVES["recv_into"], 100),
    "recvmsg": (RECEIVES["recvmsg"], (pattern(100), [], 0, None)),
    "wsarecv": (lambda sock: wsarecv(sock, [bytearray(100)]), (100, 0)),
    "receive_exactly": (lambda sock: SocketStream(sock).receive_exactly(100), pattern(100)),
}


@pytest.mark.parametrize("engine", ["skip mode", "readiness"])
@pytest.mark.parametrize(("receive", "expected"), INLINE.values(), ids=INLINE)
async def test_a_receive_that_completed_inline_is_not_cancelled_at_its_checkpoint(
    simulation: Simulation, receive: Receive, expected: object, engine: str
) -> None:
    sock = stream_for(simulation, engine)
    sock.peer.send(pattern(5000))
    call = await cancel_after_the_first_step(simulation, receive, sock)
    assert call.value == expected


@every_engine
async def test_cancelling_does_not_lose_an_error(simulation: Simulation, engine: str) -> None:
    sock = stream_for(simulation, engine)
    sock.peer.refusals.append(WinsockError.WSAECONNRESET)
    call = await cancel_after_the_first_step(simulation, RECEIVES["recv"], sock)
    assert isinstance(call.error, ConnectionResetError)


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


async def test_a_cancellation_that_comes_too_late_posts_no_packet(simulation: Simulation) -> None:
    # Trio's own abort function would post one with the address of the operation.  By the time it
    # arrives, the task may wait at that address again.
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


# What nobody here cancelled.


@every_receive
async def test_a_receive_that_was_aborted_by_others_is_repeated(
    simulation: Simulation, receive: Receive
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        cancelled = await simulation.begin(receive, sock)
        cancelled.scope.cancel()  # which is not held against the next receive
        await simulation.step()
        assert cancelled.cancelled
        simulation.kernel.log.clear()
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


@pytest.mark.parametrize("cancelled", [False, True])
async def test_bytes_with_an_abort_are_the_result(simulation: Simulation, cancelled: bool) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.CANCELLED, b"some")
    if cancelled:
        call.scope.cancel()
    await simulation.step()
    assert call.value == b"some"
