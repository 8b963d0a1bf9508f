"""Of a cancellation and a close the first decides; data that has arrived beats both."""

from __future__ import annotations

import pytest
import trio

from tests.receiving import RECEIVES, Receive, every_receive, winerror
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .receives import (
    IN_PARTS,
    OF_SOCKET_STREAM,
    both_engines,
    both_kinds,
    datagrams_for,
    receive_when,
    socket_for,
    stream_for,
    value_of,
)

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
ALL = RECEIVES | OF_SOCKET_STREAM | IN_PARTS | BATCHES


@pytest.mark.parametrize("order", ORDERS)
@both_engines
@pytest.mark.parametrize("how", ALL)
async def test_of_a_cancellation_and_a_closing_in_one_step_the_first_decides(
    simulation: Simulation, how: str, engine: str, order: str
) -> None:
    for prompt in (True, False):
        sockets = [stream_for(simulation, engine)] if how not in BATCHES else []
        if how in RECEIVES or how in BATCHES:
            sockets.append(datagrams_for(simulation, engine))
        for sock in sockets:
            simulation.behave(prompt=True)
            call = await simulation.begin(ALL[how], sock)
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


@pytest.mark.parametrize("asked", ["cancel", "close"])
@every_receive
async def test_the_end_of_the_stream_does_not_beat_a_cancellation_or_a_close(
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
        assert await value_of(simulation, sock.recv, 100) == b""


@pytest.mark.parametrize("asked", ["cancel", "close", "cancel, close"])
@both_kinds
@every_receive
async def test_an_error_does_not_beat_a_cancellation_or_a_close_and_is_not_lost(
    simulation: Simulation, receive: Receive, is_stream: bool, asked: str
) -> None:
    simulation.behave(prompt=False)
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    call = await simulation.begin(receive, sock)
    do(sock, call, asked)
    sock.peer.end(NtStatus.PORT_UNREACHABLE)
    await simulation.step()
    kind = trio.ClosedResourceError if asked == "close" else trio.Cancelled
    assert isinstance(call.error, kind)
    if asked == "cancel":
        events = simulation.events
        with pytest.raises(ConnectionResetError) as caught:
            await receive(sock)
        assert winerror(caught.value) == WinsockError.WSAECONNRESET
        assert simulation.events == events
        again = await receive_when(
            simulation, False, lambda: sock.peer.send(b"data"), receive, sock
        )
        assert again.succeeded  # since an error is reported once
    assert not sock.receiver.pushed_back.something
