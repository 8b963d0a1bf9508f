"""The readiness engine: a non-blocking receive when the socket is readable; and peeking."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.peers import Counted, pattern
from tests.receiving import winerror
from tests.simulation import Simulation
from tests.simulation.behaviour import FlagsOut
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv

PEEK = MsgFlag.MSG_PEEK


@pytest.fixture
def sock(simulation: Simulation) -> SocketOverSimulation:
    """A connection that the readiness engine serves."""
    sock = simulation.stream()
    sock.peer.ifs_handles = False
    return sock


async def test_of_two_receives_woken_by_data_one_waits_again(
    simulation: Simulation, sock: SocketOverSimulation
) -> None:
    sockets = [sock, sock.dup()]
    calls = [simulation.call(each.recv, 100) for each in sockets]
    await simulation.run()
    sock.peer.send(b"one")
    await simulation.run()
    assert [call.done for call in calls].count(True) == 1
    sock.peer.send(b"two")
    await simulation.run()
    assert {call.value for call in calls} == {b"one", b"two"}
    for each in sockets:
        each.close()


async def test_a_receive_takes_all_that_waits_in_one_piece(
    simulation: Simulation, sock: SocketOverSimulation
) -> None:
    for nbytes in (1, 5000, 256 * 1024):
        sock.peer.send(pattern(nbytes))
        assert await sock.recv(1 << 20) == pattern(nbytes)


async def test_a_receive_whose_socket_is_closed_before_its_task_runs_again(
    simulation: Simulation, sock: SocketOverSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_readable = trio.lowlevel.wait_readable

    async def wait_and_close(readable: Any) -> None:
        await wait_readable(readable)
        readable.close()

    monkeypatch.setattr(trio.lowlevel, "wait_readable", wait_and_close)
    call = await simulation.begin(wsarecv, sock, [bytearray(8)], MsgFlag.MSG_WAITALL)
    sock.peer.send(b"data")
    await simulation.run()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert not sock.receiver.pushed_back.something


async def test_receives_are_counted(simulation: Simulation, sock: SocketOverSimulation) -> None:
    counted = Counted()
    cancelled = await simulation.begin(sock.recv, 100)
    cancelled.scope.cancel()
    await simulation.run()
    assert cancelled.cancelled
    sock.peer.send(b"data")
    assert await sock.recv(100) == b"data"
    assert (counted.pended, counted.cancelled, counted.immediate, counted.bytes) == (1, 1, 1, 4)
    assert (counted.overlapped, counted.wsarecv_calls) == (0, 2)
    assert counted.failed == 0
    sock.peer.reset()
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)
    assert counted.failed == 1


PEEKS: dict[str, Any] = {
    "recv": lambda sock: sock.recv(10, PEEK),
    "recv_into": lambda sock: sock.recv_into(bytearray(10), 10, PEEK),
    "recvfrom": lambda sock: sock.recvfrom(10, PEEK),
    "recvmsg": lambda sock: sock.recvmsg(10, 0, PEEK),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(10)], PEEK),
}


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("kind", PEEKS)
async def test_a_peek_that_has_to_wait_takes_nothing(
    simulation: Simulation, kind: str, flags_out: FlagsOut
) -> None:
    # The flag is set again for each attempt, since a call may clear it.
    simulation.behave(flags_out=flags_out)
    sock = simulation.stream()
    call = await simulation.begin(PEEKS[kind], sock)
    assert not call.done
    simulation.readers.wake()
    await simulation.run()
    sock.peer.send(b"data")
    await simulation.run()
    assert call.succeeded
    assert sock.peer.waiting == b"data"


@pytest.mark.parametrize("made_here", [False, True])
async def test_peeking_leaves_the_data_where_it_is_and_is_not_overlapped(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    counted = Counted()
    sock.peer.send(pattern(5000))
    for nbytes in (2, 5000, 10_000, 2):
        assert await sock.recv(nbytes, PEEK) == pattern(5000)[:nbytes]
    buffers = [bytearray(1), bytearray(8)]
    assert await wsarecv(sock, buffers, PEEK) == (9, 0)
    assert b"".join(buffers) == pattern(9)
    assert "receive" not in simulation.events
    assert counted.bytes == 0
    simulation.deliver_automatically()
    assert await SocketStream(sock).receive_exactly(5000) == pattern(5000)
    sock.peer.send_end()
    for _ in range(2):
        assert await sock.recv(10, PEEK) == b""
    assert await sock.recv(10) == b""


async def test_a_peek_at_a_datagram_tells_that_it_does_not_fit(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.send(b"0123456789")
    buffers = [bytearray(2), bytearray(2)]
    for _ in range(2):
        assert await wsarecv(sock, buffers, PEEK) == (4, MsgFlag.MSG_TRUNC)
        assert await sock.recv(10, PEEK) == b"0123456789"
        with pytest.raises(OSError, match=r".") as caught:
            await sock.recv(4, PEEK)
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
        assert caught.value.partial == b"0123"  # type: ignore[attr-defined]
        data, _, flags, _ = await sock.recvmsg(4, 0, PEEK)
        assert (data, flags) == (b"0123", MsgFlag.MSG_TRUNC)
    assert sock.peer.waiting == [b"0123456789"]
