"""Errors are those of the standard library, on a stream those of Trio; flags are Winsock's."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.engine.flows import both_modes
from tests.peers import Counted, pattern
from tests.receiving import (
    RECEIVES,
    SENDER,
    SENDER_ADDRESS,
    Receive,
    every_receive,
    result_of,
    winerror,
)
from tests.simulation import Simulation
from tests.simulation.behaviour import IosbWrite
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

waiting = pytest.mark.parametrize("pending", [False, True])

FAILURES = {
    NtStatus.CONNECTION_RESET: ConnectionResetError,
    NtStatus.REMOTE_DISCONNECT: ConnectionResetError,
    NtStatus.CONNECTION_DISCONNECTED: ConnectionResetError,
    NtStatus.LINK_FAILED: ConnectionResetError,
    NtStatus.LOCAL_DISCONNECT: ConnectionAbortedError,
    NtStatus.CONNECTION_ABORTED: ConnectionAbortedError,
    NtStatus.IO_TIMEOUT: TimeoutError,
    NtStatus.HOST_UNREACHABLE: OSError,
    NtStatus.PORT_UNREACHABLE: ConnectionResetError,
    NtStatus.CONNECTION_REFUSED: ConnectionRefusedError,
}


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.parametrize("status", FAILURES)
async def test_a_failure_is_the_exception_of_its_code(
    simulation: Simulation, status: NtStatus, iosb: IosbWrite
) -> None:
    simulation.behave(iosb=iosb)
    sock = simulation.stream()
    stream = SocketStream(sock)
    for function in (sock.recv, stream.receive_some):
        call = await simulation.begin(function, 100)
        sock.peer.end(status)
        await simulation.step()
        if function == sock.recv:
            assert type(call.error) is FAILURES[status]
            assert winerror(call.error) > 9999
        else:
            assert isinstance(call.error, trio.BrokenResourceError)
            assert type(call.error.__cause__) is FAILURES[status]


NO_MEMORY = [status for status in NtStatus if status.error == WinsockError.WSAENOBUFS]


@pytest.mark.parametrize(
    "status", [status for status in NtStatus if status >> 30 == 3 and status not in NO_MEMORY]
)
@every_receive
async def test_every_error_is_told_and_leaves_the_socket_usable(
    simulation: Simulation, receive: Receive, status: NtStatus
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock)
    sock.peer.end(status)
    await simulation.step()
    if status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
        assert not call.done  # nobody here asked for that
    else:
        assert winerror(call.error) == status.error
        simulation.check_quiet()
        call = await simulation.begin(receive, sock)
    sock.peer.send(b"data")
    await simulation.step()
    assert call.succeeded


# Want of memory in the kernel, which is no error of a receive that can do with less.


@pytest.mark.parametrize("status", NO_MEMORY)
@every_receive
async def test_a_receive_that_wants_too_much_memory_waits_until_the_socket_is_readable(
    simulation: Simulation, receive: Receive, status: NtStatus
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        counted = Counted()
        call = await simulation.begin(receive, sock)
        sock.peer.end(status)
        await simulation.step()
        assert not call.done
        assert not simulation.in_kernel(sock)
        simulation.check_quiet()
        sock.peer.send(b"data")
        await simulation.step()
        assert call.succeeded
        # The next receive is overlapped again.
        again = await simulation.begin(receive, sock)
        assert simulation.in_kernel(sock)
        sock.peer.send(b"data")
        await simulation.step()
        assert again.succeeded
        assert (counted.overlapped, counted.failed, counted.bytes) == (2, 0, 8)


@both_modes
@pytest.mark.parametrize("method", RECEIVES)
async def test_a_receive_that_is_refused_for_want_of_memory_gives_what_has_arrived(
    simulation: Simulation, method: str, made_here: bool
) -> None:
    stream = simulation.stream(made_here=made_here)
    datagrams = simulation.datagrams(made_here=made_here)
    stream.peer.send(b"data")
    datagrams.peer.send(b"data", SENDER)
    for sock, address in ((stream, None), (datagrams, SENDER_ADDRESS)):
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        with assert_checkpoints():
            assert await RECEIVES[method](sock) == result_of(method, b"data", address)
        assert not sock.peer.waiting
    assert simulation.events.count("receive") == 2


@every_receive
async def test_where_there_is_no_memory_for_the_call_by_readiness_either_the_program_is_told(
    simulation: Simulation, receive: Receive
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        sock.peer.refusals.extend([WinsockError.WSAENOBUFS] * 2)
        sock.peer.send(b"data")
        counted = Counted()
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await receive(sock)
        assert winerror(caught.value) == WinsockError.WSAENOBUFS
        assert (counted.failed, counted.overlapped, counted.readiness) == (1, 1, 1)
        assert sock.peer.waiting in (b"data", [b"data"])


LARGE_RECEIVES: dict[str, tuple[Receive, Any]] = {
    "recv_into": (lambda sock: sock.recv_into(bytearray(5000)), 1024),
    "wsarecv": (lambda sock: wsarecv(sock, [bytearray(900), bytearray(4100)]), (1024, 0)),
    "recvmsg_into": (lambda sock: sock.recvmsg_into([bytearray(5000)]), (1024, [], 0, None)),
    "receive_exactly": (lambda sock: SocketStream(sock).receive_exactly(5000), pattern(5000)),
}


@waiting
@pytest.mark.parametrize(("receive", "expected"), LARGE_RECEIVES.values(), ids=LARGE_RECEIVES)
async def test_a_large_receive_of_a_stream_that_wants_too_much_memory_is_repeated_with_little(
    simulation: Simulation, receive: Receive, expected: Any, pending: bool
) -> None:
    sock = simulation.stream()
    counted = Counted()
    if not pending:
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
    call = await simulation.begin(receive, sock)
    if pending:
        sock.peer.end(NtStatus.INSUFFICIENT_RESOURCES)
        simulation.deliver(1)
        await simulation.run()
    (request,) = sock.peer.requests
    assert request.capacity == 1024
    sock.peer.send(pattern(5000))
    await simulation.step()
    assert call.value == expected
    assert (counted.failed, counted.readiness) == (0, 0)


async def test_a_little_receive_that_wants_too_much_memory_is_not_repeated_with_as_little(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    sock.peer.refusals.extend([WinsockError.WSAENOBUFS] * 2)
    sock.peer.send(pattern(5000))
    simulation.deliver_automatically()
    assert await sock.recv_into(bytearray(5000)) == 5000
    assert simulation.events == ["receive", "receive"]


async def test_an_error_for_want_of_memory_is_not_kept_for_the_receive_behind_a_cancelled_one(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    simulation.behave(prompt=False)
    call.scope.cancel()
    await simulation.run()
    sock.peer.end(NtStatus.INSUFFICIENT_RESOURCES)
    await simulation.step()
    assert call.cancelled
    assert not sock.receiver.pushed_back.something


@pytest.mark.parametrize("status", NO_MEMORY)
async def test_want_of_memory_that_comes_with_bytes_is_no_error_of_the_next_receive(
    simulation: Simulation, status: NtStatus
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        call = await simulation.begin(sock.recv, 100)
        sock.peer.end(status, b"some")
        await simulation.step()
        assert call.value == b"some"
        again = await simulation.begin(sock.recv, 100)
        assert not again.done
        sock.peer.send(b"more")
        await simulation.step()
        assert again.value == b"more"


@pytest.mark.parametrize("end", ["cancelled", "closed"])
async def test_a_receive_that_wanted_too_much_memory_can_be_cancelled_and_closed(
    simulation: Simulation, end: str
) -> None:
    for sock in (simulation.datagrams(), simulation.stream()):
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        call = await simulation.begin(sock.recv, 100)
        assert not call.done
        second = await simulation.begin(sock.recv, 100)
        assert isinstance(second.error, trio.BusyResourceError)
        if end == "cancelled":
            call.scope.cancel()
        else:
            sock.close()
        await simulation.run()
        assert call.cancelled is (end == "cancelled")
        assert call.cancelled or isinstance(call.error, trio.ClosedResourceError)
        sock.close()
        assert sock.peer.handles == 0


@waiting
@every_receive
async def test_a_reset_is_the_same_error_before_and_during_a_receive(
    simulation: Simulation, receive: Receive, pending: bool
) -> None:
    sock = simulation.stream()
    if not pending:
        sock.peer.reset()
    call = await simulation.begin(receive, sock)
    if pending:
        sock.peer.reset()
    await simulation.step()
    assert isinstance(call.error, ConnectionResetError)
    assert winerror(call.error) == WinsockError.WSAECONNRESET


SUCCESSES = {
    NtStatus.SUCCESS: MsgFlag(0),
    NtStatus.RECEIVE_PARTIAL: MsgFlag.MSG_PARTIAL,
    NtStatus.RECEIVE_EXPEDITED: MsgFlag.MSG_OOB,
    NtStatus.RECEIVE_PARTIAL_EXPEDITED: MsgFlag.MSG_OOB | MsgFlag.MSG_PARTIAL,
}


@pytest.mark.parametrize("flags_in", [0, MsgFlag.MSG_PUSH_IMMEDIATE, MsgFlag.MSG_PARTIAL])
@pytest.mark.parametrize("status", SUCCESSES)
async def test_success_with_a_remark_is_success_with_a_flag(
    simulation: Simulation, status: NtStatus, flags_in: int
) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    plain = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"data", status)
    await simulation.step()
    assert plain.value == b"data"
    flagged = await simulation.begin(wsarecv, sock, [buffer], flags_in)
    sock.peer.send(b"more", status)
    await simulation.step()
    assert flagged.value == (4, SUCCESSES[status])
