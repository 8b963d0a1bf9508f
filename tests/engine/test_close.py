"""Closing and shutting down while the kernel has a receive."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.engine.flows import LARGE, both_modes, make_flow
from tests.receiving import Receive, every_receive, is_claimed, winerror
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import WINE_HANDLES_CLOSED, IosbWrite
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.parametrize("close", ["close", "__exit__", "aclose"])
async def test_closing_keeps_the_handle_until_the_packet_is_in(
    simulation: Simulation, close: str, iosb: IosbWrite
) -> None:
    simulation.behave(prompt=False, iosb=iosb)
    sock = simulation.stream()
    handle = sock.fileno()
    call = await simulation.begin(sock.recv, 100)
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
    call = await simulation.begin(sock.recv, 100)
    sock.close()
    sock.peer.end(status)
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


ENDINGS = [status for status in NtStatus if status != NtStatus.PENDING]


@pytest.mark.parametrize("data", [b"", b"data"])
@pytest.mark.parametrize("status", ENDINGS)
@every_receive
async def test_the_handle_is_closed_with_the_packet_whatever_the_receive_ends_with(
    simulation: Simulation, receive: Receive, status: NtStatus, data: bytes
) -> None:
    simulation.behave(prompt=False)
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock)
    sock.close()
    sock.peer.end(status, data)
    assert sock.peer.handles == 1
    await simulation.step()
    assert sock.peer.handles == 0
    assert call.done


async def test_who_waits_for_the_socket_besides_is_told_of_the_closing(
    simulation: Simulation,
) -> None:
    # As a task does that sends, or is about to peek.
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    other = await simulation.begin(trio.lowlevel.wait_readable, sock.stdlib)
    assert simulation.in_kernel(sock)
    sock.close()
    await simulation.run()
    assert isinstance(other.error, trio.ClosedResourceError)
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


def test_an_interrupt_does_not_keep_a_socket_from_being_closed(simulation: Simulation) -> None:
    def interrupt() -> None:
        simulation.kernel32.on_call = lambda: None
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        sock = simulation.stream()
        async with simulation.nursery() as nursery:
            call = Call(nursery, sock.recv, 100)
            await simulation.run()
            simulation.kernel32.on_call = interrupt
            sock.close()
            assert simulation.events[-1] == "cancel"
            with pytest.raises(KeyboardInterrupt):
                await trio.lowlevel.checkpoint()
            await simulation.step()
            assert isinstance(call.error, trio.ClosedResourceError)
        assert sock.peer.handles == 0

    trio.run(main)


@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL", "recv", "recvfrom_many"])
async def test_nothing_is_left_on_a_socket_that_was_closed_meanwhile(
    simulation: Simulation, kind: str
) -> None:
    simulation.behave(prompt=False)
    is_stream = kind != "recvfrom_many"
    sock = simulation.stream() if is_stream else simulation.datagrams()
    if kind == "receive_exactly":
        call = simulation.call(SocketStream(sock).receive_exactly, 10)
    elif kind == "MSG_WAITALL":
        call = simulation.call(wsarecv, sock, [bytearray(10)], MsgFlag.MSG_WAITALL)
    elif kind == "recv":
        call = simulation.call(sock.recv, 10)
    else:
        call = simulation.call(sock.recvfrom_many, 3, 10)
    await simulation.run()
    sock.close()
    sock.peer.end(NtStatus.CONNECTION_RESET, b"some")
    await simulation.step()
    if kind == "recv":
        assert call.value == b"some"
    elif kind == "recvfrom_many":
        assert [datagram.data for datagram in call.value] == [b"some"]
    else:
        assert isinstance(call.error, trio.ClosedResourceError)
    assert not sock.receiver.pushed_back.something
    assert not sock.is_readable()


async def test_a_receive_that_was_aborted_by_others_learns_of_the_closing(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
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
    call = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"data")
    sock.close()
    other_sock = simulation.stream()
    other = await simulation.begin(other_sock.recv, 100)
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
    if kind == "receive_exactly":
        call = simulation.call(SocketStream(sock).receive_exactly, 10)
    else:
        call = simulation.call(wsarecv, sock, [bytearray(10)], MsgFlag.MSG_WAITALL)
    await simulation.run()
    sock.peer.send(b"data")
    sock.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert simulation.events.count("receive") == 1
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back.data


class ClosesAfterTheFirstStep(trio.abc.Instrument):
    """Closes a socket when a receive on it is at its first checkpoint."""

    def __init__(self, sock: SocketOverSimulation) -> None:
        self._sock = sock

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if is_claimed(self._sock):
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
        sock.receiver.pushed_back.add(b"data")
    else:
        sock.receiver.pushed_back.defer(ConnectionResetError())


@pytest.mark.parametrize("at_hand", ["bytes", "error"])
async def test_closing_is_seen_before_what_is_at_hand_is_given(
    simulation: Simulation, at_hand: str
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    simulation.behave(prompt=False)
    first.scope.cancel()
    second = await simulation.begin(sock.recv, 100)  # which waits for its turn
    leave_at_hand(sock, at_hand)
    sock.close()
    await simulation.step()
    assert first.cancelled
    assert isinstance(second.error, trio.ClosedResourceError)


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
    sock.receiver.pushed_back.add(b"data")
    sock.receiver.pushed_back.defer(ConnectionResetError())
    sock.close()
    assert not sock.receiver.pushed_back.something
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recv(100)
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


async def test_a_handle_that_winsock_refuses_to_close_is_no_error_of_the_receive(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.close()
    monkeypatch.setattr(socket, "close", refuse_to_close)
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


def refuse_to_close(handle: int) -> None:
    raise BlockingIOError  # it lingers


async def test_closing_ends_a_receive_although_a_duplicate_is_open(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    duplicate = sock.dup()
    sock.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    sock.peer.send(b"data")
    assert await duplicate.recv(100) == b"data"
    duplicate.close()


async def test_closing_again_does_nothing(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
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
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
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


async def test_a_receive_goes_on_when_the_sending_side_is_shut_down(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.shutdown(socket.SHUT_WR)
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
    assert "cancel" not in simulation.events
