"""What a program sees on a connection, whichever way Windows goes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.simulation import Call, CancelAnswer, Simulation, State
from tests.simulation.behaviour import FlagsOut, InlineIosb, IosbWrite
from trio_wsarecv import SocketStream, wsarecv
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

if TYPE_CHECKING:
    from collections.abc import Callable


def winerror(call: Call) -> int:
    assert isinstance(call.error, OSError)
    return int(call.error.winerror)  # type: ignore[attr-defined,unused-ignore]


RECEIVES: dict[str, Callable[[Any], Any]] = {
    "recv": lambda sock: sock.recv(5),
    "recv_into": lambda sock: sock.recv_into(bytearray(5)),
    "recvfrom": lambda sock: sock.recvfrom(5),
    "recvmsg": lambda sock: sock.recvmsg(5),
    "receive_some": lambda sock: SocketStream(sock).receive_some(),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(5),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(2), bytearray(3)]),
}
NO_SENDER = (0, bytes(14))
RESULTS: dict[str, Any] = {
    "recv": b"data!",
    "recv_into": 5,
    "recvfrom": (b"data!", NO_SENDER),
    "recvmsg": (b"data!", [], 0, None),
    "receive_some": b"data!",
    "receive_exactly": b"data!",
    "wsarecv": (5, 0),
}


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour("1", "Wine afd.c test_async_cancel_on_handle_close, and Wine itself")
@pytest.mark.behaviour("72", "Wine sock.c test_tcp_sendto_recvfrom")
async def test_a_receive_that_waits_gets_what_comes(
    simulation: Simulation, made_here: bool, method: str, iosb: IosbWrite
) -> None:
    simulation.behaviour.iosb = iosb
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(RECEIVES[method], sock)
    sock.peer.send(b"data!")
    other = await simulation.begin(sock.recv, 5)
    assert not call.done
    assert isinstance(other.error, trio.BusyResourceError)
    await simulation.step()
    assert call.value == RESULTS[method]


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("iosb", InlineIosb)
@pytest.mark.parametrize("pends", [False, True])
@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour("3", "Wine sock.c test_completion_port")
@pytest.mark.behaviour("6", "Wine sock.c test_nonblocking_async_recv")
@pytest.mark.behaviour("14", "Wine ntdll file.c test_file_completion_information")
async def test_waiting_data_is_received_with_a_packet_or_without(
    simulation: Simulation,
    made_here: bool,
    method: str,
    pends: bool,
    iosb: InlineIosb,
    flags_out: FlagsOut,
) -> None:
    simulation.behave(always_pends=pends, inline_iosb=iosb, flags_out=flags_out)
    sock = simulation.stream(made_here=made_here)
    for _ in range(2):
        sock.peer.send(b"data!")
        call = await simulation.begin(RECEIVES[method], sock)
        assert call.done is (made_here and not pends)
        assert bool(simulation.port.queue) is not call.done
        await simulation.step()
        assert call.value == RESULTS[method]
    assert simulation.events.count("receive") == 2


@pytest.mark.behaviour("5", "Wine sock.c test_completion_port")
@pytest.mark.behaviour("39", "Wine sock.c test_shutdown")
@pytest.mark.behaviour("40", "Wine sock.c test_shutdown")
async def test_the_end_of_the_stream_is_received_again_and_again(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    for waiting in (False, True, True):
        call = await simulation.begin(sock.recv, 5)
        if not waiting:
            sock.peer.send_end()
        await simulation.step()
        assert call.value == b""


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@pytest.mark.parametrize("error", [WinsockError.WSAENOBUFS, WinsockError.WSAEMSGSIZE])
@pytest.mark.behaviour("7", "Wine sock.c test_AcceptEx, test_connecting_socket")
@pytest.mark.behaviour("8", "Wine afd.c test_recv")
async def test_a_receive_that_is_refused_waits_for_nothing(
    simulation: Simulation, made_here: bool, error: WinsockError, left: NtStatus | None
) -> None:
    simulation.behaviour.left_by_failure = left
    sock = simulation.stream(made_here=made_here)
    # For want of memory another call is made, without an OVERLAPPED, before the program is told.
    calls = 2 if error == WinsockError.WSAENOBUFS else 1
    sock.peer.refusals.extend([error] * calls)
    call = await simulation.begin(sock.recv, 5)
    assert winerror(call) == error
    assert not sock.peer.refusals
    sock.peer.send(b"data!")
    again = simulation.call(sock.recv, 5)
    await simulation.step()
    assert again.value == b"data!"


def unusual(simulation: Simulation, what: str) -> Any:
    """Make a socket of the package's own that cannot be in skip mode."""
    if what == "the mode cannot be set":
        simulation.behaviour.skip_mode = False
    sock = simulation.stream(made_here=what != "adopted")
    if what == "a layered provider":
        sock.peer.chain_length = 2
    return sock


@pytest.mark.parametrize("what", ["the mode cannot be set", "a layered provider", "adopted"])
@pytest.mark.behaviour("14", "the documentation of SetFileCompletionNotificationModes; libuv #1672")
async def test_without_skip_mode_the_packet_is_awaited(simulation: Simulation, what: str) -> None:
    sock = unusual(simulation, what)
    sock.peer.send(b"data!")
    call = await simulation.begin(sock.recv, 5)
    assert not call.done
    await simulation.step()
    assert call.value == b"data!"
    assert not sock.peer.skips_on_success
    assert ("set modes" in simulation.events) is (what == "the mode cannot be set")


@pytest.mark.behaviour("14", "Wine ntdll file.c test_file_completion_information")
async def test_a_duplicate_of_a_socket_in_skip_mode_is_received_on(
    simulation: Simulation,
) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream(made_here=True)
    sock.peer.send(b"one")
    assert await sock.recv(5) == b"one"
    duplicate = sock.dup()
    sock.close()
    sock.peer.send(b"two")
    assert await duplicate.recv(5) == b"two"


@pytest.mark.parametrize("reason", ["not overlapped", "foreign port", "no IFS handles"])
@pytest.mark.behaviour("66", "Wine sock.c test_nonblocking_async_recv")
@pytest.mark.behaviour("67", "Wine sock.c test_nonblocking_async_recv")
async def test_where_an_overlapped_receive_would_block_another_is_made(
    simulation: Simulation, reason: str
) -> None:
    sock = simulation.stream(made_here=True)
    sock.peer.overlapped_io = reason != "not overlapped"
    sock.peer.ifs_handles = reason != "no IFS handles"
    if reason == "foreign port":
        simulation.register_with_iocp(sock.fileno())
    call = await simulation.begin(sock.recv, 5)
    sock.peer.send(b"data!")
    await simulation.run()
    assert call.value == b"data!"
    assert "receive" not in simulation.events


@pytest.mark.parametrize("state", [State.UNCONNECTED, State.CONNECTING, State.LISTENING])
@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour("46", "Wine sock.c test_shutdown")
@pytest.mark.behaviour("68", "Wine sock.c test_completion_port")
@pytest.mark.behaviour("69", "Wine sock.c test_connecting_socket (todo_wine)")
@pytest.mark.behaviour("70", "Wine afd.c test_recv (todo_wine)")
async def test_a_socket_without_a_connection_says_so(
    simulation: Simulation, made_here: bool, state: State, method: str
) -> None:
    sock = simulation.stream(made_here=made_here, state=state)
    call = await simulation.begin(RECEIVES[method], sock)
    error = call.error.__cause__ or call.error
    assert isinstance(error, OSError)
    assert error.winerror == WinsockError.WSAENOTCONN  # type: ignore[attr-defined,unused-ignore]
    with pytest.raises(OSError, match=r"10057"):
        sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.behaviour("35", "Wine sock.c test_completion_port")
@pytest.mark.behaviour("36", "Wine sock.c test_tcp_reset, test_completion_port, test_WSARecv")
@pytest.mark.behaviour("37", "Wine sock.c test_tcp_reset")
@pytest.mark.behaviour("38", "Wine sock.c test_shutdown (todo_wine)")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (NtStatus.CONNECTION_RESET, ConnectionResetError),
        (NtStatus.CONNECTION_ABORTED, ConnectionAbortedError),
    ],
)
async def test_a_reset_is_the_same_error_whenever_it_comes(
    simulation: Simulation, made_here: bool, waiting: bool, status: NtStatus, kind: type[OSError]
) -> None:
    sock = simulation.stream(made_here=made_here)
    if not waiting:
        sock.peer.reset(status)
    call = await simulation.begin(sock.recv, 5)
    if waiting:
        sock.peer.reset(status)
    await simulation.step()
    again = simulation.call(sock.recv, 5)
    await simulation.step()
    assert type(call.error) is type(again.error) is kind


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
@pytest.mark.behaviour("42", "Wine sock.c test_shutdown")
@pytest.mark.behaviour("43", "Wine sock.c test_shutdown")
async def test_ones_own_shutdown_ends_a_receive_that_waits_and_the_next_one(
    simulation: Simulation, made_here: bool, how: int
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(sock.recv, 5)
    sock.shutdown(how)
    await simulation.step()
    again = simulation.call(sock.recv, 5)
    await simulation.step()
    assert winerror(call) == winerror(again) == WinsockError.WSAESHUTDOWN


ARRIVED = [b"", b"data!"]


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.parametrize("arrived", ARRIVED)
@pytest.mark.parametrize("answer", CancelAnswer)
@pytest.mark.behaviour("32", "golang/net nettest testFutureTimeout, resyncConn")
@pytest.mark.behaviour("34", "Go execIO; Trio test_too_late_to_cancel")
async def test_a_cancelled_receive_loses_nothing(
    simulation: Simulation,
    made_here: bool,
    answer: CancelAnswer,
    arrived: bytes,
    iosb: IosbWrite,
) -> None:
    simulation.behave(cancel=answer, iosb=iosb)
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(sock.recv, 10)
    simulation.behaviour.prompt = False
    if arrived:
        sock.peer.send(arrived)
    call.scope.cancel()
    await simulation.step()
    if arrived and answer is not CancelAnswer.ABORTED:
        assert call.value == arrived
        arrived = b""
    else:
        assert call.cancelled
    simulation.behaviour.prompt = True
    sock.peer.send(b"more")
    again = simulation.call(sock.recv, 10)
    await simulation.step()
    assert again.value == arrived + b"more"


@pytest.mark.behaviour("30", "corefx #36516; .NET CanceledOneOfMultipleReceives_Tcp")
async def test_a_receive_that_a_neighbour_gave_up_is_repeated(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(sock.recv, 5)
    sock.peer.end(NtStatus.CANCELLED)
    await simulation.step()
    assert not call.done
    assert simulation.in_kernel(sock)
    sock.peer.send(b"data!")
    await simulation.step()
    assert call.value == b"data!"


@pytest.mark.parametrize("foreign_handles", [0, 1])
@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.behaviour("15b", "Wine afd.c test_async_cancel_on_handle_close")
@pytest.mark.behaviour("27", "Wine sock.c iocp_async_read_closesocket (todo_wine)")
@pytest.mark.behaviour("29", ".NET SendReceive.cs")
@pytest.mark.behaviour("33", "CPython test_windows_events ProactorTests.test_close")
@pytest.mark.behaviour("81", "no test that was read asserts it")
async def test_closing_tells_the_receiver_and_ends_the_stream_for_the_peer(
    simulation: Simulation, made_here: bool, iosb: IosbWrite, foreign_handles: int
) -> None:
    simulation.behaviour.iosb = iosb
    sock = simulation.stream(made_here=made_here)
    sock.peer.foreign_handles = foreign_handles
    call = await simulation.begin(sock.recv, 5)
    sock.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert not sock.peer.closed_on_a_receive
    assert sock.peer.peer_saw == (None if foreign_handles else "end")


@pytest.mark.behaviour("15a", "Wine sock.c test_completion_port")
async def test_closing_one_handle_leaves_the_other(simulation: Simulation) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 5)
    duplicate = sock.dup()
    duplicate.close()
    await simulation.step()
    assert not call.done
    sock.peer.send(b"data!")
    await simulation.step()
    assert call.value == b"data!"
