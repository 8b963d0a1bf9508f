"""Errors are those of the standard library, on a stream those of Trio; flags are Winsock's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.receiving import RECEIVES, SENDER, every_receive, winerror
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import IosbWrite
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

if TYPE_CHECKING:
    from tests.receiving import Receive

pytestmark = pytest.mark.deadline(10)

waiting = pytest.mark.parametrize("pending", [False, True])

FAILURES = {
    NtStatus.CONNECTION_RESET: ConnectionResetError,
    NtStatus.REMOTE_DISCONNECT: ConnectionResetError,
    NtStatus.CONNECTION_DISCONNECTED: ConnectionResetError,
    NtStatus.LINK_FAILED: ConnectionResetError,
    NtStatus.LOCAL_DISCONNECT: ConnectionAbortedError,
    NtStatus.CONNECTION_ABORTED: ConnectionAbortedError,
    NtStatus.IO_TIMEOUT: TimeoutError,
    NtStatus.INSUFFICIENT_RESOURCES: OSError,
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
    async with simulation.nursery() as nursery:
        for function in (sock.recv, stream.receive_some):
            call = Call(nursery, function, 100)
            await simulation.run()
            sock.peer.end(status)
            await simulation.step()
            if function == sock.recv:
                assert type(call.error) is FAILURES[status]
                assert winerror(call.error) > 9999
            else:
                assert isinstance(call.error, trio.BrokenResourceError)
                assert type(call.error.__cause__) is FAILURES[status]


@pytest.mark.parametrize("status", [status for status in NtStatus if status >> 30 == 3])
@every_receive
async def test_every_error_is_told_and_leaves_the_socket_usable(
    simulation: Simulation, receive: Receive, status: NtStatus
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        call = Call(nursery, receive, sock)
        await simulation.run()
        sock.peer.end(status)
        await simulation.step()
        if status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
            assert not call.done  # nobody here asked for that
        else:
            assert winerror(call.error) == status.error
            simulation.check_quiet()
            call = Call(nursery, receive, sock)
            await simulation.run()
        sock.peer.send(b"data")
        await simulation.step()
        assert call.succeeded
    simulation.check_quiet()


@waiting
@every_receive
async def test_a_reset_is_the_same_error_before_and_during_a_receive(
    simulation: Simulation, receive: Receive, pending: bool
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.reset()
        call = Call(nursery, receive, sock)
        await simulation.run()
        if pending:
            sock.peer.reset()
        await simulation.step()
        assert isinstance(call.error, ConnectionResetError)
        assert winerror(call.error) == WinsockError.WSAECONNRESET


@waiting
@every_receive
async def test_an_unreachable_port_is_told_once_and_the_socket_goes_on(
    simulation: Simulation, receive: Receive, pending: bool
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.send_error()
        call = Call(nursery, receive, sock)
        await simulation.run()
        if pending:
            sock.peer.send_error()
        await simulation.step()
        assert isinstance(call.error, ConnectionResetError)
        assert winerror(call.error) == WinsockError.WSAECONNRESET
        again = Call(nursery, receive, sock)
        await simulation.run()
        sock.peer.send(b"data", sender=SENDER)
        await simulation.step()
        assert again.value


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
    async with simulation.nursery() as nursery:
        plain = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"data", status)
        await simulation.step()
        assert plain.value == b"data"
        flagged = Call(nursery, wsarecv, sock, [buffer], flags_in)
        await simulation.run()
        sock.peer.send(b"more", status)
        await simulation.step()
        assert flagged.value == (4, SUCCESSES[status])


@waiting
@pytest.mark.parametrize("method", ["recvmsg", "recvmsg_into", "wsarecv"])
async def test_what_returns_flags_tells_with_them_that_a_datagram_was_truncated(
    simulation: Simulation, method: str, pending: bool
) -> None:
    sock = simulation.datagrams()
    datagram = bytes(range(200))
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.send(datagram, sender=SENDER)
        call = Call(nursery, RECEIVES[method], sock)
        await simulation.run()
        if pending:
            sock.peer.send(datagram, sender=SENDER)
        await simulation.step()
        data: Any = call.value[0]
        flags = call.value[1] if method == "wsarecv" else call.value[2]
        assert data == (datagram[:100] if method == "recvmsg" else 100)
        assert flags == MsgFlag.MSG_TRUNC
