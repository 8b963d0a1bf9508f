"""Rules of the engine that its mutants showed to be untested; each on the simulation.

``python -m tests.mutants`` changes one rule at a time, and has these and the other fast tests find
it out.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._codes import NtStatus
from trio_wsarecv._receiver import SMALLEST_POST
from trio_wsarecv._status import STATUS_ERRORS, os_error
from trio_wsarecv._winsock import ffi

from .peers import Counted
from .simulation import Call, Simulation, simulated_winsock
from .simulation.request import Request, Result
from .simulation.sockets import SocketOverSimulation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated_winsock() as simulation:
        yield simulation


# What is counted.


async def test_receives_are_counted_by_how_they_end(simulation: Simulation) -> None:
    sock = simulation.stream()
    counted = Counted()
    async with simulation.nursery() as nursery:
        sock.peer.send(b"data")
        at_once = Call(nursery, sock.recv, 100)
        await simulation.step()
        assert at_once.value == b"data"
        assert (counted.immediate, counted.pended, counted.bytes) == (1, 0, 4)

        later = Call(nursery, sock.recv, 100)
        await simulation.run()
        assert (counted.immediate, counted.pended) == (1, 1)
        sock.peer.send(b"more")
        await simulation.step()
        assert later.value == b"more"
        assert counted.bytes == 8

        cancelled = Call(nursery, sock.recv, 100)
        await simulation.run()
        cancelled.scope.cancel()
        await simulation.step()
        assert cancelled.cancelled
        assert (counted.pended, counted.cancelled, counted.wsarecv_calls) == (2, 1, 3)

        late = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"last")
        late.scope.cancel()
        await simulation.step()
        assert late.value == b"last"
        assert (counted.cancelled, counted.received_despite_cancel) == (1, 1)

        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        refused = Call(nursery, sock.recv, 100)
        await simulation.step()
        assert isinstance(refused.error, OSError)
        assert (counted.immediate, counted.pended, counted.failed) == (1, 3, 1)

        reset = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.reset()
        await simulation.step()
        assert isinstance(reset.error, ConnectionResetError)
        assert (counted.pended, counted.failed, counted.bytes) == (4, 2, 12)


async def test_bytes_that_come_with_an_abort_are_counted_once(simulation: Simulation) -> None:
    sock = simulation.stream()
    counted = Counted()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED, b"some")
        call.scope.cancel()
        await simulation.step()
        assert call.value == b"some"
    assert (counted.bytes, counted.received_despite_cancel, counted.cancelled) == (4, 1, 0)


async def test_receives_by_readiness_are_counted_too(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = False
    counted = Counted()
    async with simulation.nursery() as nursery:
        cancelled = Call(nursery, sock.recv, 100)
        await simulation.run()
        cancelled.scope.cancel()
        await simulation.run()
        assert cancelled.cancelled
        sock.peer.send(b"data")
        assert await sock.recv(100) == b"data"
    assert (counted.pended, counted.cancelled, counted.immediate, counted.bytes) == (1, 1, 1, 4)


# Who is busy.


async def test_a_refusal_after_a_receive_leaves_the_socket_free(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        for _ in range(2):
            sock.peer.send(b"data")
            call = Call(nursery, sock.recv, 100)
            await simulation.step()
            assert call.value == b"data"
            sock.peer.refusals.append(WinsockError.WSAENOBUFS)
            refused = Call(nursery, sock.recv, 100)
            await simulation.step()
            assert isinstance(refused.error, OSError)


async def test_who_waits_for_all_is_alone_between_two_receives(simulation: Simulation) -> None:
    sock = simulation.stream()
    buffer = bytearray(8)
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, [buffer], MsgFlag.MSG_WAITALL)
        await simulation.run()
        sock.peer.send(b"data")
        assert not sock.peer.requests
        with pytest.raises(trio.BusyResourceError):
            await sock.recv(100)
        await simulation.step()
        sock.peer.send(b"more")
        await simulation.step()
        assert call.value == (8, 0)
        assert buffer == b"datamore"


async def test_what_is_asked_for_again_minds_who_was_faster(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED)
        second = Call(nursery, sock.recv, 100)
        await simulation.run()
        await simulation.step()
        assert isinstance(first.error, trio.BusyResourceError)
        assert len(sock.peer.requests) == 1
        sock.peer.send(b"data")
        await simulation.step()
        assert second.value == b"data"


RECEIVES: dict[str, Callable[[SocketOverSimulation], Awaitable[Any]]] = {
    "recv": lambda sock: sock.recv(100),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "recvfrom": lambda sock: sock.recvfrom(100),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(100)),
    "recvmsg": lambda sock: sock.recvmsg(100, 100),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(50), bytearray(50)], 100),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(50), bytearray(50)]),
}


@pytest.mark.parametrize("method", RECEIVES)
async def test_of_two_that_come_at_once_one_is_busy(simulation: Simulation, method: str) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        calls = [Call(nursery, RECEIVES[method], sock) for _ in range(2)]
        await simulation.run()
        assert len(sock.peer.requests) == 1
        sock.peer.send(b"data")
        await simulation.step()
        (busy,) = [call for call in calls if not call.succeeded]
        assert isinstance(busy.error, trio.BusyResourceError)


async def test_wrappers_of_one_socket_share_what_is_known_of_it(simulation: Simulation) -> None:
    sock = simulation.stream()
    other = SocketOverSimulation(sock.stdlib)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        with pytest.raises(trio.BusyResourceError):
            await other.recv(100)
        other.close()
        await simulation.step()
        assert isinstance(call.error, trio.ClosedResourceError)


async def test_a_buried_operation_is_not_used_again(simulation: Simulation) -> None:
    sock = simulation.stream()
    simulation.behaviour.prompt = False
    for _ in range(2):
        receive = sock.recv(100)
        receive.send(None)
        receive.close()
    buried, request = sock.peer.requests
    assert request.address != buried.address


# What is drained.


async def test_who_is_late_drains_nothing_that_came_after_a_receive_that_is_over(
    simulation: Simulation,
) -> None:
    # The second receive has what followed the first; what comes then must follow the second.
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        first = Call(nursery, sock.recv, 10 * SMALLEST_POST)
        await simulation.run()
        sock.peer.send(b"1" * SMALLEST_POST)
        second = Call(nursery, sock.recv, 10 * SMALLEST_POST)
        await simulation.run()
        sock.peer.send(b"2")
        sock.peer.send(b"3")
        simulation.deliver()
        await simulation.run()
        assert first.value == b"1" * SMALLEST_POST
        assert second.value == b"2"
        assert sock.stdlib.recv(10) == b"3"


async def test_that_there_is_nothing_to_drain_is_no_error(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALLEST_POST)
        await simulation.run()
        sock.peer.send(bytes(SMALLEST_POST))
        await simulation.step()
        assert call.value == bytes(SMALLEST_POST)
        again = Call(nursery, sock.recv, 100)
        await simulation.run()
        assert sock.peer.requests
        sock.peer.send(b"data")
        await simulation.step()
        assert again.value == b"data"


async def fail_to_drain(simulation: Simulation, sock: SocketOverSimulation) -> None:
    """Receive what fills the buffer, just before the connection is reset."""
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALLEST_POST)
        await simulation.run()
        sock.peer.send(bytes(SMALLEST_POST))
        sock.peer.reset()
        simulation.deliver()
        await simulation.run()
        assert call.value == bytes(SMALLEST_POST)


async def test_an_error_met_while_draining_is_for_the_next_receive(simulation: Simulation) -> None:
    sock = simulation.stream()
    await fail_to_drain(simulation, sock)
    # The system tells of it once.
    sock.peer.failure = None
    sock.peer.send_end()
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)
    assert await sock.recv(100) == b""


async def test_an_error_met_while_draining_keeps_nothing_alive(simulation: Simulation) -> None:
    sock = simulation.stream()
    await fail_to_drain(simulation, sock)
    assert sock.receiver.deferred_error
    alive = weakref.ref(sock.stdlib)
    del sock
    gc.collect()
    assert alive() is None


async def test_draining_a_socket_that_was_closed_meanwhile_keeps_nothing_alive(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 10 * SMALLEST_POST)
        await simulation.run()
        sock.peer.send(bytes(SMALLEST_POST))
        sock.close()
        simulation.deliver()
        await simulation.run()
        assert call.value == bytes(SMALLEST_POST)
    assert sock.receiver.deferred_error is None
    alive = weakref.ref(sock.stdlib)
    del sock, call, nursery
    gc.collect()
    assert alive() is None


# What is there already.


async def test_a_flood_of_what_is_there_leaves_other_tasks_their_turn(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receive_one(nbytes: int, flags: int) -> Result:
        return Result(NtStatus.SUCCESS, b".")

    sock = simulation.stream()
    monkeypatch.setattr(sock.peer, "receive", receive_one)
    sock.receiver.eager = True
    turns = 0
    async with simulation.nursery() as nursery:
        exact = Call(nursery, SocketStream(sock).receive_exactly, 10_000)
        while not exact.done:
            await trio.lowlevel.checkpoint()
            turns += 1
    assert exact.value == b"." * 10_000
    assert turns > 10


EXACT = {
    "receive_some": False,
    "receive_into": False,
    "receive_exactly": True,
}


@pytest.mark.parametrize("method", EXACT)
async def test_an_error_met_while_looking_is_raised_although_it_is_told_once(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    pieces: list[bytes | NtStatus] = [b"some", NtStatus.CONNECTION_RESET]

    def receive_next(nbytes: int, flags: int) -> Result:
        piece = pieces.pop(0) if pieces else NtStatus.DEVICE_NOT_READY
        if isinstance(piece, NtStatus):
            raise os_error(STATUS_ERRORS[piece], piece.name)
        return Result(NtStatus.SUCCESS, piece)

    sock = simulation.stream()
    stream = SocketStream(sock)
    monkeypatch.setattr(sock.peer, "receive", receive_next)
    sock.receiver.eager = True
    receive = getattr(stream, method)
    argument: Any = bytearray(10) if method == "receive_into" else 10
    if not EXACT[method]:
        assert await stream.receive_some() == b"some"
    with pytest.raises(trio.BrokenResourceError) as caught:
        await receive(argument)
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    if EXACT[method]:
        assert await stream.receive_some() == b"some"


# Errors.


async def test_an_error_that_had_to_wait_is_told_once(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.INSUFFICIENT_RESOURCES, b"some")
        await simulation.step()
        assert call.value == b"some"
        with pytest.raises(OSError, match=r"NOBUFS|10055"):
            await sock.recv(100)
        again = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.send(b"more")
        await simulation.step()
        assert again.value == b"more"


async def test_an_error_that_has_to_do_with_no_port_is_raised(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, /) -> None:
        raise simulation.kernel.error(8)  # ERROR_NOT_ENOUGH_MEMORY

    monkeypatch.setattr(simulation, "register_with_iocp", refuse)
    sock = simulation.stream()
    sock.peer.send(b"data")
    with pytest.raises(OSError) as caught:  # noqa: PT011
        await sock.recv(100)
    assert caught.value.winerror == 8  # type: ignore[attr-defined,unused-ignore]


# Closing.


async def test_closing_gives_up_what_was_kept(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, SocketStream(sock).receive_exactly, 10)
        await simulation.run()
        sock.peer.send(b"some")
        await simulation.step()
        call.scope.cancel()
        await simulation.step()
    assert sock.receiver.kept == b"some"
    sock.close()
    assert not sock.receiver.kept


async def test_a_socket_that_was_received_on_and_closed_does_not_reach_the_kernel(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.step()
        assert call.value == b"data"
        sock.close()
        assert sock.peer.handles == 0
        for receive in (sock.recv, sock.recvfrom):
            with pytest.raises(OSError, match=r"NOTSOCK|10038"):
                await receive(100)


# Datagrams.


async def test_a_datagram_is_received_whole_however_quiet_the_socket_was(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    datagram = bytes(3 * SMALLEST_POST)
    async with simulation.nursery() as nursery:
        for at_once in (True, False):
            if at_once:
                sock.peer.send(datagram)
            call = Call(nursery, sock.recv, 10 * SMALLEST_POST)
            await simulation.run()
            if not at_once:
                sock.peer.send(datagram)
            await simulation.step()
            assert call.value == datagram


SENDER = b"\x02\x00\x1f\x90\x7f\x00\x00\x01" + bytes(8)


@pytest.mark.parametrize("method", ["recvfrom", "recvmsg"])
async def test_what_is_asked_for_again_has_room_for_what_comes_along(
    simulation: Simulation, method: str
) -> None:
    sock = simulation.datagrams()
    sizes = (10, 100) if method == "recvmsg" else (10,)
    async with simulation.nursery() as nursery:
        call = Call(nursery, getattr(sock, method), *sizes)
        await simulation.run()
        # A neighbour was cancelled: the lengths of address and control data are 0 then.
        sock.peer.end(NtStatus.CANCELLED)
        await simulation.step()
        assert not call.done
        sock.peer.send(b"data", SENDER, b"control")
        await simulation.step()
        assert call.value[0] == b"data"
        assert call.value[-1] == ("127.0.0.1", 8080)
        if method == "recvmsg":
            assert not call.value[2], "what had room was cut off"


@pytest.mark.parametrize(
    ("data", "told"), [(b"too long", MsgFlag.MSG_TRUNC), (b"fits", MsgFlag.MSG_CTRUNC)]
)
async def test_the_status_alone_does_not_say_what_was_cut_off(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, data: bytes, told: MsgFlag
) -> None:
    # Wine ends either with this status, and of the two flags sets only that for control data.
    def write_message(request: Request, result: Result) -> None:
        message = ffi.cast("WSAMSG *", request.message)
        message.namelen = 0
        message.dwFlags = told & MsgFlag.MSG_CTRUNC

    monkeypatch.setattr(Request, "_write_message", write_message)
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recvmsg, 4, 100)
        await simulation.run()
        sock.peer.end(NtStatus.BUFFER_OVERFLOW, data[:4])
        await simulation.step()
        assert call.value == (data[:4], [], told, None)


# Which engine.


def test_a_socket_belongs_to_the_run_that_it_was_first_received_on_in(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()

    async def main(*others: SocketOverSimulation) -> None:
        simulation.deliver_automatically()
        for each in (*others, sock):
            each.receiver.eager = False  # what is waiting needs no engine
            each.peer.send(b"data")
            assert await each.recv(4) == b"data"

    trio.run(main)
    # In the next run it is not the first.
    counted = Counted()
    trio.run(main, simulation.stream())
    assert (counted.overlapped_sockets, counted.readiness_sockets) == (1, 1)


# Readiness.


async def test_who_was_slower_waits_again_for_readiness(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = False
    sockets = [sock, sock.dup()]
    async with simulation.nursery() as nursery:
        calls = [Call(nursery, each.recv, 100) for each in sockets]
        await simulation.run()
        sock.peer.send(b"one")
        await simulation.run()
        assert [call.done for call in calls].count(True) == 1
        sock.peer.send(b"two")
        await simulation.run()
        assert {call.value for call in calls} == {b"one", b"two"}
        for each in sockets:
            each.close()
