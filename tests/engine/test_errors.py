"""Errors: on a socket those of the standard library, on a stream those of Trio."""

from __future__ import annotations

import pytest
import trio

from tests.receiving import Receive, every_receive, winerror
from tests.simulation import Simulation
from trio_wsarecv import SocketStream, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .arrivals import every_choice

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


@every_choice("iosb")
@pytest.mark.parametrize("status", FAILURES)
async def test_the_status_decides_the_type_of_the_exception(
    simulation: Simulation, status: NtStatus
) -> None:
    sock = simulation.stream()
    for function in (sock.recv, SocketStream(sock).receive_some):
        call = await simulation.begin(function, 100)
        sock.peer.end(status)
        await simulation.step()
        if function == sock.recv:
            assert type(call.error) is FAILURES[status]
            assert winerror(call.error) > 9999
        else:
            assert isinstance(call.error, trio.BrokenResourceError)
            assert type(call.error.__cause__) is FAILURES[status]


ERRORS = [status for status in NtStatus if status >> 30 == 3]


# That of insufficient memory is not raised at once: test_no_buffers.py.
@pytest.mark.parametrize(
    "status", [status for status in ERRORS if status.error != WinsockError.WSAENOBUFS]
)
@every_receive
async def test_every_error_is_raised_and_leaves_the_socket_usable(
    simulation: Simulation, receive: Receive, status: NtStatus
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(receive, sock)
    sock.peer.end(status)
    await simulation.step()
    if status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
        assert not call.done  # nobody here has asked for that
    else:
        assert winerror(call.error) == status.error
        simulation.check_quiet()
        call = await simulation.begin(receive, sock)
    sock.peer.send(b"data")
    await simulation.step()
    assert call.succeeded
