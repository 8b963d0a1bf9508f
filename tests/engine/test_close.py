"""Closing and shutting down while the kernel has a receive, and receiving on a closed socket."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.engine.flows import LARGE, make_flow
from tests.receiving import RECEIVES, AfterFirstStep, Receive, every_receive, winerror
from tests.simulation import Simulation
from trio_wsarecv import SocketStream, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .receives import IN_PARTS, OF_SOCKET_STREAM, both_kinds, socket_for


@pytest.mark.parametrize("late_iosb", [True, False])
@pytest.mark.parametrize("close", ["close", "close twice", "__exit__", "aclose"])
async def test_closing_keeps_the_handle_until_the_packet_is_in(
    simulation: Simulation, close: str, late_iosb: bool
) -> None:
    simulation.behave(prompt=False, late_iosb=late_iosb)
    sock = simulation.stream()
    handle = sock.fileno()
    call = await simulation.begin(sock.recv, 100)
    if close == "aclose":
        await SocketStream(sock).aclose()
    elif close == "__exit__":
        with sock:
            pass
    else:
        sock.close()
    if close == "close twice":
        sock.close()
    assert sock.fileno() == -1
    assert simulation.stream().fileno() != handle
    simulation.settle()
    await simulation.run()
    assert sock.peer.handles == 1
    await simulation.step()
    sock.close()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert sock.peer.handles == 0
    ours = [event.what for event in simulation.kernel.log if event.handle == handle]
    assert ours == ["receive", "cancel", "dequeue", "close"]
    assert sock.peer.peer_saw == "end"


CLOSED_EARLY: dict[str, Receive] = {
    "recv": RECEIVES["recv"],
    "recvfrom_many": lambda sock: sock.recvfrom_many(3, 10),
    "recvmsg_many": lambda sock: sock.recvmsg_many(3, 10),
    **IN_PARTS,
}


@pytest.mark.parametrize("closed_first", [True, False])
@pytest.mark.parametrize("how", CLOSED_EARLY)
async def test_a_receive_whose_socket_was_closed_gives_its_data_or_fails_and_leaves_nothing(
    simulation: Simulation, how: str, closed_first: bool
) -> None:
    simulation.behave(prompt=not closed_first)
    is_batch = how.endswith("many")
    sock = socket_for(simulation, "default mode", is_stream=not is_batch)
    call = await simulation.begin(CLOSED_EARLY[how], sock)
    if closed_first:
        sock.close()
        sock.peer.end(NtStatus.CONNECTION_RESET, b"data")
    else:
        sock.peer.send(b"data")
        if is_batch:
            sock.peer.send(b"more")  # which a call on the closed handle would be needed for
        sock.close()
    # The number of the handle may serve another socket soon, whose receive nobody may cancel.
    other = simulation.stream()
    other_call = await simulation.begin(other.recv, 100)
    call.scope.cancel()
    await simulation.step()
    if how in IN_PARTS:
        assert isinstance(call.error, trio.ClosedResourceError)
    else:
        assert call.value in (b"data", [(b"data", None)], [(b"data", [], 0, None)])
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back.something
    assert simulation.events.count("receive") == 2
    other.peer.send(b"other")
    await simulation.step()
    assert other_call.value == b"other"


async def test_a_large_receive_notices_a_close(simulation: Simulation, made_here: bool) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    sock.peer.send(bytes(LARGE))
    trio.lowlevel.add_instrument(AfterFirstStep(sock.close))
    call = simulation.call(sock.recv, LARGE)
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert sock.peer.handles == 0


@both_kinds
async def test_a_close_in_the_same_step_as_a_shutdown_decides(
    simulation: Simulation, is_stream: bool
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    task: list[trio.lowlevel.Task] = []

    async def receive() -> bytes:
        task.append(trio.lowlevel.current_task())
        return await sock.recv(100)

    call = await simulation.begin(receive)
    trio.lowlevel.add_instrument(AfterFirstStep(sock.close, task[0]))
    sock.shutdown(socket.SHUT_RDWR)
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert sock.peer.handles == 0


async def test_a_receive_goes_on_when_the_sending_side_is_shut_down(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.shutdown(socket.SHUT_WR)
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
    assert "cancel" not in simulation.events


@pytest.mark.parametrize("left", ["bytes", "error"])
@pytest.mark.parametrize("how", ["close", "detach"])
async def test_a_socket_without_a_handle_does_not_give_what_was_left(
    simulation: Simulation, how: str, left: str
) -> None:
    sock = simulation.stream()
    if left == "bytes":
        sock.receiver.pushed_back.add(b"data")
    else:
        sock.receiver.pushed_back.defer(ConnectionResetError())
    if how == "close":
        sock.close()
        assert not sock.receiver.pushed_back.something
    else:
        sock.stdlib.detach()
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recv(100)
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


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


@pytest.mark.parametrize("how", OF_SOCKET_STREAM)
async def test_a_stream_of_a_closed_socket_is_closed(simulation: Simulation, how: str) -> None:
    sock = simulation.stream()
    sock.close()
    with pytest.raises(trio.ClosedResourceError):
        await OF_SOCKET_STREAM[how](sock)
