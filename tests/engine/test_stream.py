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
from trio_wsarecv._winsock.status import os_error

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


@every_choice("late_iosb")
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


async def test_the_end_of_the_stream_is_received_again_and_again(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await receive_when(simulation, True, sock.peer.send_end, sock.recv, 5)
    for _ in range(2):
        assert call.value == b""
        call = await complete(simulation, sock.recv, 5)


@every_choice("cancel", "late_iosb")
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
@every_choice("late_iosb")
@both_kinds
async def test_closing_ends_the_receive_and_a_stream_for_the_peer(
    simulation: Simulation, made_here: bool, kind: str, foreign_handles: int
) -> None:
    sock = make_socket(simulation, kind, made_here=made_here)
    sock.peer.foreign_handles = foreign_handles
    call = await simulation.begin(sock.recvfrom, 5)
    sock.dup().close()  # another handle of the same socket
    await simulation.step()
    assert not call.done
    sock.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert not sock.peer.closed_on_a_receive
    if kind == "stream":
        assert sock.peer.peer_saw == (None if foreign_handles else "end")


# Errors: on a socket those of the standard library, on a stream those of Trio.


def check_error(method: str, error: BaseException, code: WinsockError) -> None:
    if method.startswith("receive_"):
        closed = code == WinsockError.WSAENOTSOCK
        assert type(error) is (trio.ClosedResourceError if closed else trio.BrokenResourceError)
        assert error.__cause__ is not None
        error = error.__cause__
    assert winerror(error) == code
    assert type(error) is type(os_error(code, ""))


# A receive that lacks memory or was aborted is repeated: test_no_buffers.py, test_cancellation.py.
ABORTS = (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED)
ERRORS = [
    status
    for status in NtStatus
    if status >> 30 == 3 and status.error != WinsockError.WSAENOBUFS and status not in ABORTS
]


@every_choice("late_iosb")
@pytest.mark.parametrize("status", ERRORS)
@both_kinds
async def test_every_error_is_raised_and_leaves_the_socket_usable(
    simulation: Simulation, status: NtStatus, kind: str
) -> None:
    methods = STREAM_RECEIVES if kind == "stream" else RECEIVES
    sock = make_socket(simulation, kind)
    assert status.error is not None
    for method in methods:
        call = await simulation.begin(methods[method], sock)
        sock.peer.end(status)
        await simulation.step()
        check_error(method, call.error, status.error)
        simulation.check_quiet()
    call = await simulation.begin(sock.recv, 5)
    sock.peer.send(b"data!")
    await simulation.step()
    assert call.value == b"data!"


@when
@pytest.mark.parametrize("status", [NtStatus.CONNECTION_RESET, NtStatus.CONNECTION_ABORTED])
@every_method
async def test_a_reset_is_the_same_error_before_and_during_a_receive(
    simulation: Simulation, made_here: bool, method: str, status: NtStatus, pending: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    receive = STREAM_RECEIVES[method]
    call = await receive_when(simulation, pending, lambda: sock.peer.reset(status), receive, sock)
    again = await complete(simulation, receive, sock)
    assert status.error is not None
    for error in (call.error, again.error):
        check_error(method, error, status.error)


@pytest.mark.parametrize("state", [State.UNCONNECTED, State.CONNECTING, State.LISTENING])
@every_method
async def test_a_receive_without_a_connection_fails(
    simulation: Simulation, made_here: bool, state: State, method: str
) -> None:
    sock = simulation.stream(made_here=made_here, state=state)
    call = await simulation.begin(STREAM_RECEIVES[method], sock)
    check_error(method, call.error, WinsockError.WSAENOTCONN)


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
async def test_shutdown_ends_a_pending_receive_and_the_next_one(
    simulation: Simulation, made_here: bool, how: int
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await receive_when(simulation, True, lambda: sock.shutdown(how), sock.recv, 5)
    again = await complete(simulation, sock.recv, 5)
    assert winerror(call.error) == winerror(again.error) == WinsockError.WSAESHUTDOWN


# `recvmsg` on a stream: it gives bytes, and refuses the flags that `wsarecv` refuses.


@pytest.mark.parametrize("left", [b"", b"abcd", b"abcdefgh"])
async def test_recvmsg_on_a_stream_waits_for_all_behind_bytes_pushed_back(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    monkeypatch.setattr("trio_wsarecv._arguments.MAX_WAITING", 4)  # which is not for this flag
    sock = simulation.stream()
    sock.receiver.pushed_back.add(left)
    sock.peer.send(b"abcdefgh"[len(left) :])
    simulation.deliver_automatically()
    assert await sock.recvmsg(6, 0, MsgFlag.MSG_WAITALL) == (b"abcdef", [], 0, None)
    assert await sock.recv(6) == b"gh"


async def test_recvmsg_on_a_stream_refuses_unknown_flags(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    call = await complete(simulation, sock.recvmsg, 4, 0, 0x4)
    assert winerror(call.error) == WinsockError.WSAEOPNOTSUPP
    assert sock.peer.waiting == b"data"


async def test_a_message_of_nothing_is_refused_on_a_closed_socket(simulation: Simulation) -> None:
    sock = simulation.stream()
    assert await sock.recvmsg(0) == (b"", [], 0, None)
    sock.close()
    for receive in (sock.recvmsg(0), sock.recvmsg_into([])):
        with pytest.raises(OSError, match=r".") as caught:
            await receive
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK
