"""Of a cancellation and a closing the first decides; what has arrived beats both."""

from __future__ import annotations

import pytest
import trio

from tests.receiving import Receive, every_receive, winerror
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

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


@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("order", ORDERS)
@every_receive
async def test_of_a_cancellation_and_a_closing_in_one_step_the_first_decides(
    simulation: Simulation, receive: Receive, order: str, prompt: bool
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        simulation.behave(prompt=True)
        call = await simulation.begin(receive, sock)
        simulation.behave(prompt=prompt)
        do(sock, call, order)
        await simulation.step()
        assert isinstance(call.error, ORDERS[order])
        assert sock.peer.handles == ("close" not in order)
        sock.close()


@pytest.mark.parametrize("order", ["close, cancel", "cancel, close"])
@pytest.mark.parametrize("method", ["recvfrom_many", "recvmsg_many"])
async def test_of_a_cancellation_and_a_closing_of_a_batch_the_first_decides(
    simulation: Simulation, method: str, order: str
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(getattr(sock, method), 3, 100)
    do(sock, call, order)
    await simulation.step()
    assert isinstance(call.error, ORDERS[order])
    assert sock.peer.handles == 0


@pytest.mark.parametrize("order", ["close, cancel", "cancel, close"])
@pytest.mark.parametrize("kind", ["receive_some", "receive_exactly", "receive_exactly_into"])
async def test_of_a_cancellation_and_a_closing_of_a_stream_the_first_decides(
    simulation: Simulation, kind: str, order: str
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    argument = bytearray(10) if kind.endswith("into") else 10
    call = await simulation.begin(getattr(stream, kind), argument)
    if kind != "receive_some":
        sock.peer.send(b"part")
        await simulation.step()
    do(sock, call, order)
    await simulation.step()
    assert isinstance(call.error, ORDERS[order])
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back.something


@pytest.mark.parametrize("order", ["close, cancel", "cancel, close"])
@every_receive
async def test_of_a_cancellation_and_a_closing_the_first_decides_by_readiness_too(
    simulation: Simulation, receive: Receive, order: str
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        sock.peer.ifs_handles = False
        call = await simulation.begin(receive, sock)
        do(sock, call, order)
        await simulation.step()
        assert isinstance(call.error, ORDERS[order])
        assert sock.peer.handles == 0


@pytest.mark.parametrize("moment", ["before", "between", "after"])
@pytest.mark.parametrize("order", ["close, cancel", "cancel, close"])
@every_receive
async def test_data_beats_a_cancellation_and_a_closing(
    simulation: Simulation, receive: Receive, order: str, moment: str
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
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


@pytest.mark.parametrize("asked", ["cancel", "close"])
@every_receive
async def test_the_end_of_the_stream_does_not_beat_a_cancellation_or_a_closing(
    simulation: Simulation, receive: Receive, asked: str
) -> None:
    simulation.behave(cancel=CancelAnswer.COMPLETES)
    sock = simulation.stream()
    call = await simulation.begin(receive, sock)
    simulation.behave(prompt=False)
    sock.peer.send_end()
    do(sock, call, asked)
    await simulation.step()
    kind = trio.Cancelled if asked == "cancel" else trio.ClosedResourceError
    assert isinstance(call.error, kind)
    if asked == "cancel":
        # It is there for the next one.
        again = simulation.call(sock.recv, 100)
        await simulation.step()
        assert again.value == b""


@pytest.mark.parametrize("asked", ["cancel", "close"])
@every_receive
async def test_an_error_does_not_beat_a_cancellation_or_a_closing_and_is_not_lost(
    simulation: Simulation, receive: Receive, asked: str
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        simulation.behave(prompt=False)
        call = await simulation.begin(receive, sock)
        do(sock, call, asked)
        sock.peer.end(NtStatus.PORT_UNREACHABLE)
        await simulation.step()
        if asked == "close":
            assert isinstance(call.error, trio.ClosedResourceError)
            assert not sock.receiver.pushed_back.something
        else:
            assert call.cancelled
            events = simulation.events
            with pytest.raises(ConnectionResetError) as caught:
                await receive(sock)
            assert winerror(caught.value) == WinsockError.WSAECONNRESET
            assert simulation.events == events
            sock.peer.send(b"data")  # for it is told once
            again = simulation.call(receive, sock)
            await simulation.step()
            assert again.succeeded
        sock.close()


async def test_an_error_that_was_kept_for_the_next_receive_is_dropped_by_closing(
    simulation: Simulation,
) -> None:
    simulation.behave(prompt=False)
    sock = simulation.datagrams()
    call = await simulation.begin(sock.recv, 100)
    do(sock, call, "cancel, close")
    sock.peer.end(NtStatus.PORT_UNREACHABLE)
    await simulation.step()
    assert call.cancelled
    assert not sock.receiver.pushed_back.something
