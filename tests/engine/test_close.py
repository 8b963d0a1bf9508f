"""Closing and shutting down while the kernel has a receive."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.engine.flows import LARGE, both_modes, make_flow
from tests.receiving import every_receive, winerror
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.behaviour import WINE_HANDLES_CLOSED, IosbWrite
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiving import Receive
    from tests.simulation.sockets import SocketOverSimulation

pytestmark = pytest.mark.deadline(10)


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.parametrize("close", ["close", "__exit__", "aclose"])
async def test_closing_keeps_the_handle_until_the_packet_is_in(
    simulation: Simulation, close: str, iosb: IosbWrite
) -> None:
    simulation.behave(prompt=False, iosb=iosb)
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


@every_receive
async def test_whatever_receives_is_told(simulation: Simulation, receive: Receive) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        async with simulation.nursery() as nursery:
            call = Call(nursery, receive, sock)
            await simulation.run()
            sock.close()
            await simulation.step()
            assert isinstance(call.error, trio.ClosedResourceError)
        assert sock.peer.handles == 0
    simulation.check_quiet()


STATUSES = (
    NtStatus.CANCELLED,
    NtStatus.REQUEST_ABORTED,
    NtStatus.CONNECTION_ABORTED,
    NtStatus.LOCAL_DISCONNECT,
    NtStatus.INVALID_HANDLE,
    WINE_HANDLES_CLOSED,
)


@pytest.mark.parametrize("status", STATUSES)
async def test_whatever_status_the_system_gives_closing_is_closing(
    simulation: Simulation, status: int
) -> None:
    simulation.behave(prompt=False)
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.close()
        sock.peer.end(status)
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)
    simulation.check_quiet()


async def test_data_that_arrived_before_the_closing_wins(simulation: Simulation) -> None:
    simulation.behave(prompt=False, cancel=CancelAnswer.COMPLETES)
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data")
        sock.close()
        await simulation.step()
        assert call.value == b"data"
    assert sock.peer.handles == 0


@pytest.mark.parametrize("order", ["close, cancel", "cancel, close", "shut down, close"])
@pytest.mark.parametrize("prompt", [True, False])
async def test_closing_wins_over_anything_else_in_the_same_moment(
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
                sock.receiver.cancel()  # as shutting down does
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)
    assert sock.peer.handles == 0
    simulation.check_quiet()


async def test_a_receive_that_was_aborted_by_others_learns_of_the_closing(
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
    assert sock.peer.handles == 0


@pytest.mark.parametrize("iosb", IosbWrite)
async def test_closing_while_a_packet_is_on_its_way_loses_neither(
    simulation: Simulation, iosb: IosbWrite
) -> None:
    simulation.behave(iosb=iosb)
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data")
        sock.close()
        other_sock = simulation.stream()
        other = Call(nursery, other_sock.recv, 100)
        await simulation.run()
        call.scope.cancel()
        await simulation.step()
        assert call.value == b"data"
        assert sock.peer.handles == 0
        assert simulation.in_kernel(other_sock)
        other_sock.peer.send(b"other")
        await simulation.step()
        assert other.value == b"other"


@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL"])
async def test_closing_is_seen_between_two_parts_of_one_receive(
    simulation: Simulation, kind: str
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        if kind == "receive_exactly":
            call = Call(nursery, SocketStream(sock).receive_exactly, 10)
        else:
            call = Call(nursery, wsarecv, sock, [bytearray(10)], MsgFlag.MSG_WAITALL)
        await simulation.run()
        sock.peer.send(b"data")
        sock.close()
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)
    assert simulation.events.count("receive") == 1
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back


class ClosesAfterTheFirstStep(trio.abc.Instrument):
    """Closes a socket when a receive on it, of that name if any, is at its first checkpoint."""

    def __init__(self, sock: SocketOverSimulation, name: str = "") -> None:
        self._sock = sock
        self._name = name

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._sock.receiver.claimed and task.name.endswith(self._name):
            self._sock.close()


@both_modes
async def test_closing_is_seen_before_a_large_receive(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    simulation.deliver_automatically()
    sock.peer.send(bytes(LARGE))
    closes = ClosesAfterTheFirstStep(sock)
    trio.lowlevel.add_instrument(closes)
    with pytest.raises(trio.ClosedResourceError):
        await sock.recv(LARGE)
    trio.lowlevel.remove_instrument(closes)
    assert sock.peer.handles == 0


def leave_at_hand(sock: SocketOverSimulation, at_hand: str) -> None:
    """Leave bytes or an error for the next receive, which needs no engine then."""
    if at_hand == "bytes":
        sock.receiver.push_back(b"data")
    else:
        sock.receiver.defer(ConnectionResetError())


@pytest.mark.parametrize("at_hand", ["bytes", "error"])
async def test_closing_is_seen_before_what_is_at_hand_is_given(
    simulation: Simulation, at_hand: str
) -> None:
    sock = simulation.stream()
    leave_at_hand(sock, at_hand)
    closes = ClosesAfterTheFirstStep(sock)
    trio.lowlevel.add_instrument(closes)
    with pytest.raises(trio.ClosedResourceError):
        await sock.recv(100)
    trio.lowlevel.remove_instrument(closes)


@pytest.mark.parametrize("at_hand", ["bytes", "error"])
async def test_what_is_at_hand_stays_behind_when_the_handle_is_detached(
    simulation: Simulation, at_hand: str
) -> None:
    sock = simulation.stream()
    leave_at_hand(sock, at_hand)
    sock.stdlib.detach()
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recv(100)
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


async def test_closing_drops_what_was_pushed_back_and_the_error_that_waits(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    sock.receiver.push_back(b"data")
    sock.receiver.defer(ConnectionResetError())
    sock.close()
    assert not sock.receiver.has_something()
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recv(100)
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


@pytest.mark.parametrize("waits_for", ["another receive", "its turn"])
async def test_closing_is_told_although_the_kernel_has_nothing_of_the_receive(
    simulation: Simulation, waits_for: str
) -> None:
    for _ in range(10):  # since Trio runs tasks in any order
        sock = simulation.stream()
        async with simulation.nursery() as nursery:
            if waits_for == "another receive":
                Call(nursery, sock.recv, 100)
                await simulation.run()
                sock.peer.send(b"data")
                simulation.deliver()
            else:
                sock.receiver.push_back(b"data")
            closes = ClosesAfterTheFirstStep(sock, "recv_into")
            trio.lowlevel.add_instrument(closes)
            call = Call(nursery, sock.recv_into, bytearray(100))
            await simulation.step()
            trio.lowlevel.remove_instrument(closes)
            assert isinstance(call.error, trio.ClosedResourceError)


@pytest.mark.parametrize("used", [False, True])
async def test_a_receive_on_a_socket_that_was_closed_fails_at_a_checkpoint(
    simulation: Simulation, used: bool
) -> None:
    sock = simulation.stream()
    if used:
        simulation.deliver_automatically()
        sock.peer.send(b"data")
        assert await sock.recv(100) == b"data"
    sock.close()
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await sock.recv(100)
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


async def test_a_handle_that_winsock_refuses_to_close_is_no_error_of_the_receive(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.close()
        monkeypatch.setattr(socket, "close", refuse_to_close)
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)


def refuse_to_close(handle: int) -> None:
    raise BlockingIOError  # it lingers


async def test_closing_is_seen_before_a_refused_receive_is_tried_with_less(
    simulation: Simulation,
) -> None:
    for _ in range(10):  # since Trio runs tasks in any order
        sock = simulation.stream()
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        async with simulation.nursery() as nursery:
            call = Call(nursery, sock.recv_into, bytearray(5000))
            while sock.peer.refusals:
                await trio.lowlevel.checkpoint()
            sock.close()
            await simulation.step()
            assert isinstance(call.error, trio.ClosedResourceError)


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
    assert simulation.events.count("close") == 1


@pytest.mark.parametrize("used", [False, True])
@every_receive
async def test_a_closed_socket_does_not_reach_the_kernel(
    simulation: Simulation, receive: Receive, used: bool
) -> None:
    sock = simulation.datagrams()
    if used:
        simulation.deliver_automatically()
        sock.peer.send(b"data")
        await receive(sock)
    events = simulation.events
    sock.close()
    assert sock.peer.handles == 0
    for _ in range(2):
        with pytest.raises(OSError, match=r".") as caught:
            await receive(sock)
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK
    assert simulation.events == [*events, "close"]


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


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
async def test_a_receive_ends_when_its_side_is_shut_down(simulation: Simulation, how: int) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.shutdown(how)
        await simulation.step()
        assert isinstance(call.error, BrokenPipeError)
        assert winerror(call.error) == WinsockError.WSAESHUTDOWN


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
    assert "cancel" not in simulation.events
