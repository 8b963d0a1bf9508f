"""Cancelling and closing are requests to the kernel; the completion decides, and nothing is lost.

Of the two, the first decides; data that has arrived beats both.
"""

from __future__ import annotations

from functools import partial

import pytest
import trio

from tests.receiving import (
    RECEIVES,
    AfterFirstStep,
    Receive,
    every_receive,
    result_of,
    winerror,
)
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.behaviour import WINE_HANDLES_CLOSED
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .receives import (
    IN_PARTS,
    OF_SOCKET_STREAM,
    both_engines,
    both_kinds,
    every_engine,
    receive_when,
    socket_for,
    stream_for,
    value_of,
)


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


@every_engine
@pytest.mark.parametrize("what", ["data", "end", "error"])
@pytest.mark.parametrize("method", RECEIVES)
async def test_what_a_call_finds_at_once_is_not_lost_to_a_cancellation_right_after_it(
    simulation: Simulation, method: str, what: str, engine: str
) -> None:
    sock = stream_for(simulation, engine)
    if what == "error":
        sock.peer.refusals.append(WinsockError.WSAECONNRESET)
    elif what == "data":
        sock.peer.send(b"data")
    sock.peer.send_end()
    trio.lowlevel.add_instrument(AfterFirstStep(lambda: call.scope.cancel()))
    call = simulation.call(RECEIVES[method], sock)
    await simulation.step()
    assert call.scope.cancel_called
    if what == "error":
        assert isinstance(call.error, ConnectionResetError)
    else:
        assert call.value == result_of(method, b"data" if what == "data" else b"")


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
        sock.peer.end(NtStatus.CANCELLED, b"data")  # bytes with an abort are the result
        await simulation.step()
        assert call.succeeded
        assert simulation.events.count("receive") == 3


ORDERS = {
    "close, cancel": trio.ClosedResourceError,
    "cancel, close": trio.Cancelled,
    "shut down, close": trio.ClosedResourceError,
    "shut down, cancel": trio.Cancelled,
    "cancel, shut down, close": trio.Cancelled,
}


def do(sock: SocketOverSimulation, call: Call, order: str) -> None:
    """Do what is written, in that order, in one step."""
    for what in order.split(", "):
        if what == "close":
            sock.close()
        elif what == "cancel":
            call.scope.cancel()
        else:
            sock.receiver.cancel()  # as shutting down does


BATCHES: dict[str, Receive] = {
    "recvfrom_many": lambda sock: sock.recvfrom_many(3, 100),
    "recvmsg_many": lambda sock: sock.recvmsg_many(3, 100),
}
CALLS: list[tuple[bool, str, Receive]] = [
    *((True, *each) for each in (RECEIVES | OF_SOCKET_STREAM | IN_PARTS).items()),
    *((False, *each) for each in (RECEIVES | BATCHES).items()),
]


@pytest.mark.parametrize("order", ORDERS)
@both_engines
@pytest.mark.parametrize(("is_stream", "how", "receive"), CALLS)
async def test_of_a_cancellation_and_a_closing_in_one_step_the_first_decides(
    simulation: Simulation, is_stream: bool, how: str, receive: Receive, engine: str, order: str
) -> None:
    for prompt in (True, False):
        sock = socket_for(simulation, engine, is_stream=is_stream)
        simulation.behave(prompt=True)
        call = await simulation.begin(receive, sock)
        if how in IN_PARTS:
            sock.peer.send(b"part")
            await simulation.step()
        simulation.behave(prompt=prompt)
        do(sock, call, order)
        await simulation.step()
        assert isinstance(call.error, ORDERS[order])
        assert sock.peer.handles == ("close" not in order)
        sock.close()
        assert not sock.receiver.pushed_back.something


@pytest.mark.parametrize("moment", ["before", "between", "after"])
@pytest.mark.parametrize("order", ["close, cancel", "cancel, close"])
@both_kinds
@every_receive
async def test_data_beats_a_cancellation_and_a_close(
    simulation: Simulation, receive: Receive, is_stream: bool, order: str, moment: str
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    simulation.behave(prompt=moment == "before", cancel=CancelAnswer.COMPLETES)
    call = await simulation.begin(receive, sock)
    first, second = order.split(", ")
    if moment == "before":
        sock.peer.send(b"data")
    do(sock, call, first)
    if moment == "between":
        sock.peer.send(b"data")
    do(sock, call, second)
    if moment == "after":
        sock.peer.send(b"data")
    await simulation.step()
    assert call.succeeded
    assert call.scope.cancel_called
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back.something


STATUSES = [status for status in (*NtStatus, WINE_HANDLES_CLOSED) if status != NtStatus.PENDING]
#: The statuses that are no errors of the connection.  Another receive may have the memory that was
#: short.
NO_ERRORS = {
    NtStatus.BUFFER_OVERFLOW,
    NtStatus.CANCELLED,
    NtStatus.REQUEST_ABORTED,
    *(status for status in NtStatus if status.error == WinsockError.WSAENOBUFS),
}


@pytest.mark.parametrize("asked", ["cancel", "close", "cancel, close"])
@pytest.mark.parametrize("data", [b"", b"data"])
@both_kinds
@pytest.mark.parametrize("method", ["recv", "recvmsg", "wsarecv"])
async def test_whatever_the_status_only_data_beats_what_was_asked_and_no_error_is_lost(
    simulation: Simulation, method: str, is_stream: bool, data: bytes, asked: str
) -> None:
    receive = RECEIVES[method]
    simulation.behave(prompt=False)
    for status in STATUSES:
        sock = socket_for(simulation, "default mode", is_stream=is_stream)
        call = await simulation.begin(receive, sock)
        do(sock, call, asked)
        sock.peer.end(status, data)
        assert sock.peer.handles == 1
        await simulation.step()
        is_error = status >> 30 >= 2
        is_empty_datagram = not is_stream and not data and not is_error
        if data or is_empty_datagram or status == NtStatus.BUFFER_OVERFLOW:
            assert call.succeeded or status == NtStatus.BUFFER_OVERFLOW
        elif asked == "close":
            assert isinstance(call.error, trio.ClosedResourceError)
        else:
            assert call.cancelled
        assert sock.peer.handles == (asked == "cancel")
        if asked == "cancel":
            events = simulation.events
            error = getattr(status, "error", WinsockError.WSAEINVAL)
            if is_error and status not in NO_ERRORS:
                with pytest.raises(OSError, match=r".") as caught:
                    await receive(sock)
                assert winerror(caught.value) == error
                assert simulation.events == events
            # An error is reported once.
            send = partial(sock.peer.send, b"more")
            again = await receive_when(simulation, False, send, receive, sock)
            assert again.succeeded
        assert not sock.receiver.pushed_back.something
