"""What a program sees on a connection, for every choice that Windows has."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from tests.datagrams import when
from tests.receiving import RECEIVES, Receive, result_of, winerror
from tests.simulation import CancelAnswer, Simulation, State
from trio_wsarecv import MsgFlag, SocketStream
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .arrivals import both_kinds, every_choice, make_socket
from .receives import complete, receive_when

STREAM_RECEIVES: dict[str, Receive] = {
    **RECEIVES,
    "receive_some": lambda sock: SocketStream(sock).receive_some(),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(5),
}
every_method = pytest.mark.parametrize("method", STREAM_RECEIVES)


def result(method: str) -> Any:
    return b"data!" if method.startswith("receive_") else result_of(method, b"data!")


@every_choice("iosb")
@every_method
async def test_a_pending_receive_gets_the_data_and_a_second_one_is_refused(
    simulation: Simulation, made_here: bool, method: str
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(STREAM_RECEIVES[method], sock)
    sock.peer.send(b"data!")
    other = await simulation.begin(sock.recv, 5)
    assert not call.done
    assert isinstance(other.error, trio.BusyResourceError)
    await simulation.step()
    assert call.value == result(method)


@every_choice("always_pends", "inline_iosb", "flags_out")
@every_method
async def test_waiting_data_is_received_with_a_packet_or_without(
    simulation: Simulation, made_here: bool, method: str
) -> None:
    pends = simulation.behaviour.always_pends
    sock = simulation.stream(made_here=made_here)
    for _ in range(2):
        sock.peer.send(b"data!")
        call = await simulation.begin(STREAM_RECEIVES[method], sock)
        assert call.done is (made_here and not pends)
        assert bool(simulation.port.queue) is not call.done
        await simulation.step()
        assert call.value == result(method)
    assert simulation.events.count("receive") == 2


async def test_the_end_of_the_stream_is_received_again_and_again(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await receive_when(simulation, True, sock.peer.send_end, sock.recv, 5)
    for _ in range(2):
        assert call.value == b""
        call = await complete(simulation, sock.recv, 5)


@pytest.mark.parametrize("what", ["the mode cannot be set", "a layered provider", "adopted"])
async def test_without_skip_mode_the_packet_is_awaited(simulation: Simulation, what: str) -> None:
    simulation.behave(skip_mode=what != "the mode cannot be set")
    sock = simulation.stream(made_here=what != "adopted")
    if what == "a layered provider":
        sock.peer.chain_length = 2
    sock.peer.send(b"data!")
    call = await simulation.begin(sock.recv, 5)
    assert not call.done
    await simulation.step()
    assert call.value == b"data!"
    assert not sock.peer.skips_on_success
    assert ("set modes" in simulation.events) is (what == "the mode cannot be set")


@pytest.mark.parametrize("state", [State.UNCONNECTED, State.CONNECTING, State.LISTENING])
@every_method
async def test_a_receive_without_a_connection_fails(
    simulation: Simulation, made_here: bool, state: State, method: str
) -> None:
    sock = simulation.stream(made_here=made_here, state=state)
    call = await simulation.begin(STREAM_RECEIVES[method], sock)
    assert winerror(call.error.__cause__ or call.error) == WinsockError.WSAENOTCONN
    with pytest.raises(OSError, match=r"10057"):
        sock.shutdown(socket.SHUT_RDWR)


RESETS = {
    NtStatus.CONNECTION_RESET: ConnectionResetError,
    NtStatus.CONNECTION_ABORTED: ConnectionAbortedError,
}


@when
@pytest.mark.parametrize("status", RESETS)
@every_method
async def test_a_reset_is_the_same_error_before_and_during_a_receive(
    simulation: Simulation, made_here: bool, method: str, status: NtStatus, pending: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    receive = STREAM_RECEIVES[method]
    call = await receive_when(simulation, pending, lambda: sock.peer.reset(status), receive, sock)
    again = await complete(simulation, receive, sock)
    for error in (call.error, again.error):
        assert isinstance(error, trio.BrokenResourceError) is method.startswith("receive_")
        assert type(error.__cause__ or error) is RESETS[status]


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
async def test_shutdown_ends_a_pending_receive_and_the_next_one(
    simulation: Simulation, made_here: bool, how: int
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await receive_when(simulation, True, lambda: sock.shutdown(how), sock.recv, 5)
    again = await complete(simulation, sock.recv, 5)
    assert winerror(call.error) == winerror(again.error) == WinsockError.WSAESHUTDOWN


@every_choice("cancel", "iosb")
@pytest.mark.parametrize("arrived", [b"", b"data!"])
async def test_a_cancelled_receive_loses_nothing(
    simulation: Simulation, made_here: bool, arrived: bytes
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(sock.recv, 10)
    simulation.behave(prompt=False)
    if arrived:
        sock.peer.send(arrived)
    call.scope.cancel()
    await simulation.step()
    if arrived and simulation.behaviour.cancel is not CancelAnswer.ABORTED:
        assert call.value == arrived
        arrived = b""
    else:
        assert call.cancelled
    simulation.behave(prompt=True)
    sock.peer.send(b"more")
    again = await complete(simulation, sock.recv, 10)
    assert again.value == arrived + b"more"


@pytest.mark.parametrize("foreign_handles", [0, 1])
@every_choice("iosb")
@both_kinds
async def test_closing_ends_the_receive_and_a_stream_for_the_peer(
    simulation: Simulation, made_here: bool, kind: str, foreign_handles: int
) -> None:
    sock = make_socket(simulation, kind, made_here=made_here)
    sock.peer.foreign_handles = foreign_handles
    call = await simulation.begin(sock.recvfrom, 5)
    sock.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert not sock.peer.closed_on_a_receive
    if kind == "stream":
        assert sock.peer.peer_saw == (None if foreign_handles else "end")


async def test_closing_one_handle_leaves_the_other(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 5)
    sock.dup().close()
    await simulation.step()
    assert not call.done
    sock.peer.send(b"data!")
    await simulation.step()
    assert call.value == b"data!"


async def test_a_message_with_waitall_is_not_capped(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_wsarecv._arguments.MAX_WAITING", 4)
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.send(b"012345")
    assert (await sock.recvmsg(6, 0, MsgFlag.MSG_WAITALL))[0] == b"012345"


async def test_a_message_of_nothing_is_refused_on_a_closed_socket(simulation: Simulation) -> None:
    sock = simulation.stream()
    assert await sock.recvmsg(0) == (b"", [], 0, None)
    sock.close()
    for receive in (sock.recvmsg(0), sock.recvmsg_into([])):
        with pytest.raises(OSError, match=r".") as caught:
            await receive
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK
