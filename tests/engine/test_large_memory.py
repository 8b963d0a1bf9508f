"""Large receive memory: there is only so much in a run, and sometimes it is too much."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.engine.flows import LARGE, MOST_LARGE, SMALL, both_modes, capacity, make_flow
from tests.peers import Counted, pattern
from tests.receiving import winerror
from tests.simulation import Call, Simulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.sockets import SocketOverSimulation

pytestmark = pytest.mark.deadline(10)


# Large memory belongs to the run, and there is only so much.


def large_blocks(simulation: Simulation) -> int:
    """Count the large blocks that there are in the run."""
    memory = simulation.kernel.memory
    sizes = [block.size for block in memory.blocks.values()]
    sizes += [export.size for export in memory.exports.values()]
    return sum(size >= LARGE for size in sizes)


async def test_the_large_memory_of_a_run_is_bounded(simulation: Simulation) -> None:
    # The packet of each is still to come, so that none of the blocks can be given back.
    sockets = [simulation.stream() for _ in range(MOST_LARGE + 10)]
    for sock in sockets:
        await make_flow(simulation, sock)
    assert large_blocks(simulation) == 1
    calls = []
    async with simulation.nursery() as nursery:
        for number, sock in enumerate(sockets):
            sock.peer.send(pattern(5000 + number))
            calls.append(Call(nursery, sock.recv, LARGE))
            await simulation.run()
        assert large_blocks(simulation) == MOST_LARGE
        await simulation.step()
        received = [call.value for call in calls]
        for number, sock in enumerate(sockets):
            data = received[number] + sock.peer.waiting
            assert data == pattern(5000 + number)
        assert [len(data) for data in received].count(SMALL) <= 10
    assert large_blocks(simulation) == MOST_LARGE
    simulation.check_quiet()


async def test_where_no_large_memory_is_left_a_receive_gives_what_it_has(
    simulation: Simulation,
) -> None:
    flows = [simulation.stream() for _ in range(MOST_LARGE)]
    for flow in flows:
        await make_flow(simulation, flow)
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        sock.peer.send(pattern(5000))
        simulation.settle()
        for flow in flows:
            flow.peer.send(b"data")
            Call(nursery, flow.recv, LARGE)
        await simulation.run()
        assert large_blocks(simulation) == MOST_LARGE
        await simulation.deliver_one_by_one(1)
        assert call.value == pattern(5000)[:SMALL]
        await simulation.step()
    assert sock.peer.waiting == pattern(5000)[SMALL:]


async def test_where_large_memory_cannot_be_had_a_receive_gives_what_it_has(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(declaration: str, size: int) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr("trio_wsarecv._engine.memory._allocate", allocate)
    sock = simulation.stream()
    sock.peer.send(pattern(5000))
    simulation.deliver_automatically()
    received = b""
    while len(received) < 5000:
        received += await sock.recv(LARGE)
    assert received == pattern(5000)


@contextmanager
def no_memory_for_the_result() -> Iterator[None]:
    def unpack(data: object, size: int) -> NoReturn:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trio_wsarecv._engine.requests.ffi", SimpleNamespace(unpack=unpack))
        with pytest.raises(MemoryError):
            yield


@pytest.mark.parametrize("ifs_handles", [True, False], ids=["overlapped", "readiness"])
async def test_where_there_is_no_memory_for_the_result_the_next_receive_gives_it(
    simulation: Simulation, ifs_handles: bool
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    sock.peer.ifs_handles = ifs_handles
    for flow in (sock, other):
        await make_flow(simulation, flow)
    simulation.deliver_automatically()
    for _ in range(2):
        sock.peer.send(pattern(5000))
        with no_memory_for_the_result():
            await sock.recv(LARGE)
        # The memory that it is in is nobody else's.
        other.peer.send(bytes(4000))
        assert await other.recv(LARGE) == bytes(4000)
        await make_flow(simulation, other)
        sock.peer.send(b"more")
        assert await SocketStream(sock).receive_exactly(5004) == pattern(5000) + b"more"
        await make_flow(simulation, sock)


async def test_where_there_is_no_memory_for_what_a_peek_finds_nothing_comes_twice(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    simulation.deliver_automatically()
    sock.peer.send(pattern(5000))
    with no_memory_for_the_result():
        await sock.recv(LARGE, MsgFlag.MSG_PEEK)
    sock.peer.send_end()
    assert await SocketStream(sock).receive_exactly(5000) == pattern(5000)
    assert await sock.recv(LARGE) == b""


async def test_where_there_is_no_memory_for_a_datagram_the_next_receive_gives_the_next(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    simulation.deliver_automatically()
    for data in (b"first", b"second"):
        sock.peer.send(data)
    with no_memory_for_the_result():
        await sock.recv(LARGE)
    assert await sock.recv(LARGE) == b"second"


async def test_after_a_large_receive_that_was_cancelled_the_next_asks_for_little(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    simulation.behave(prompt=False)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        assert capacity(sock) == LARGE
        call.scope.cancel()
        await simulation.step()
        assert call.cancelled
        again = Call(nursery, sock.recv, LARGE)
        await simulation.run()
        assert capacity(sock) == SMALL
        sock.peer.send(b"data")
        await simulation.step()
        assert again.value == b"data"


async def test_a_receive_of_little_that_is_refused_is_not_tried_again(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    sock.peer.refusals.append(WinsockError.WSAENOBUFS)
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, SMALL)
        await simulation.step()
        assert winerror(call.error) == WinsockError.WSAENOBUFS
    assert sock.peer.waiting == b"data"


ENDINGS = ["data", "end", "cancelled", "aborted", "reset", "refused", "WSAENOBUFS", "deferred"]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_large_memory_is_given_back_however_a_receive_ends(
    simulation: Simulation, ending: str
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        for _ in range(MOST_LARGE + 1):
            await make_flow(simulation, sock)
            if ending == "data":
                sock.peer.send(b"data")
            elif ending == "refused":
                sock.peer.refusals.append(WinsockError.WSAECONNABORTED)
            elif ending == "WSAENOBUFS":
                sock.peer.refusals += [WinsockError.WSAENOBUFS] * 2
            simulation.behave(prompt=ending not in ("end", "reset", "deferred"))
            call = Call(nursery, sock.recv, LARGE)
            await simulation.run()
            if ending == "end":
                sock.peer.end(NtStatus.SUCCESS)
            elif ending == "reset":
                sock.peer.end(NtStatus.CONNECTION_RESET)
            elif ending == "deferred":
                sock.peer.end(NtStatus.CONNECTION_RESET, bytes(2000))
            elif ending == "aborted":
                await simulation.step()
                sock.peer.send(b"data")
            elif ending == "cancelled":
                call.scope.cancel()
            await simulation.step()
            assert call.done
            simulation.behave(prompt=True)
            if ending == "deferred":
                with pytest.raises(ConnectionResetError):
                    await sock.recv(1)
        simulation.behave(prompt=True)
        assert large_blocks(simulation) == 1
        await make_flow(simulation, sock)
        sock.peer.send(bytes(LARGE))
        call = Call(nursery, sock.recv, LARGE)
        await simulation.step()
        assert len(call.value) == LARGE, "there was no block left"
    simulation.check_quiet()


async def test_large_memory_is_given_back_when_a_socket_closes(simulation: Simulation) -> None:
    async with simulation.nursery() as nursery:
        for _ in range(MOST_LARGE + 1):
            simulation.behave(prompt=True)
            sock = simulation.stream()
            await make_flow(simulation, sock)
            simulation.behave(prompt=False)
            call = Call(nursery, sock.recv, LARGE)
            await simulation.run()
            sock.close()
            await simulation.step()
            assert isinstance(call.error, trio.ClosedResourceError)
        assert large_blocks(simulation) == 1
        simulation.behave(prompt=True)
        sock = simulation.stream()
        await make_flow(simulation, sock)
        sock.peer.send(bytes(LARGE))
        call = Call(nursery, sock.recv, LARGE)
        await simulation.step()
        assert len(call.value) == LARGE


# Too much for the system.

Receive = Any
LARGE_RECEIVES: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(LARGE),
    "recv_into": lambda sock: sock.recv_into(bytearray(LARGE)),
    "receive_exactly_into": lambda sock: SocketStream(sock).receive_exactly_into(bytearray(LARGE)),
}
every_large_receive = pytest.mark.parametrize(
    "receive", LARGE_RECEIVES.values(), ids=LARGE_RECEIVES
)
how_told = pytest.mark.parametrize("inline", [True, False], ids=["inline", "by the packet"])


@both_modes
@how_told
@every_large_receive
async def test_a_large_receive_that_wants_too_much_is_tried_once_more_with_little(
    simulation: Simulation, receive: Receive, inline: bool, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    simulation.behave(prompt=inline)
    counted = Counted()
    async with simulation.nursery() as nursery:
        if inline:
            sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        call = Call(nursery, receive, sock)
        await simulation.run()
        if not inline:
            assert capacity(sock) == LARGE
            sock.peer.end(NtStatus.INSUFFICIENT_RESOURCES)
            simulation.behave(prompt=True)
            simulation.deliver()
            await simulation.run()
        assert capacity(sock) == SMALL
        sock.peer.send(bytes(LARGE))
        await simulation.step()
        assert call.succeeded
    assert counted.failed == 0
    assert counted.bytes + len(sock.peer.waiting) == LARGE
    simulation.check_quiet()


async def test_after_a_small_part_an_exact_receive_asks_for_much_again(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    buffer = bytearray(LARGE)
    async with simulation.nursery() as nursery:
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        call = Call(nursery, SocketStream(sock).receive_exactly_into, buffer)
        await simulation.run()
        assert capacity(sock) == SMALL
        sock.peer.send(pattern(SMALL))
        await simulation.step()
        assert capacity(sock) == LARGE - SMALL
        sock.peer.send(pattern(LARGE)[SMALL:])
        await simulation.step()
        assert call.succeeded
        assert buffer == pattern(LARGE)


@how_told
@every_large_receive
async def test_if_little_is_too_much_as_well_the_program_is_told(
    simulation: Simulation, receive: Receive, inline: bool
) -> None:
    sock = simulation.stream()
    await make_flow(simulation, sock)
    simulation.behave(prompt=inline)
    counted = Counted()
    async with simulation.nursery() as nursery:
        if inline:
            sock.peer.refusals += [WinsockError.WSAENOBUFS] * 2
        call = Call(nursery, receive, sock)
        await simulation.run()
        if not inline:
            for _ in range(2):
                sock.peer.end(NtStatus.INSUFFICIENT_RESOURCES)
                await simulation.step()
        error = call.error
        if isinstance(error, trio.BrokenResourceError):
            assert error.__cause__ is not None
            error = error.__cause__
        assert winerror(error) == WinsockError.WSAENOBUFS
    assert counted.failed == 1
    simulation.check_quiet()


async def test_a_small_receive_that_wants_too_much_is_not_tried_again(
    simulation: Simulation,
) -> None:
    for sock in (simulation.stream(), simulation.datagrams()):
        sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        async with simulation.nursery() as nursery:
            call = Call(nursery, sock.recv, 100)
            await simulation.run()
            assert winerror(call.error) == WinsockError.WSAENOBUFS


async def test_a_receive_that_was_refused_for_its_size_is_counted_once(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    for waits in (True, False):
        counted = Counted()
        async with simulation.nursery() as nursery:
            sock.peer.refusals.append(WinsockError.WSAENOBUFS)
            if waits:
                sock.peer.send(b"data")
            call = Call(nursery, sock.recv_into, bytearray(LARGE))
            await simulation.run()
            if not waits:
                sock.peer.send(b"data")
            await simulation.step()
            assert call.value == 4
        assert (counted.immediate, counted.pended) == ((1, 0) if waits else (0, 1))


@both_modes
@pytest.mark.parametrize("flows", [False, True], ids=["drained", "large"])
async def test_of_many_flows_one_at_a_time_has_a_large_result(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, made_here: bool, flows: bool
) -> None:
    # Were they all received before the first task goes on, they would all be in memory.
    steps = []
    ws2_32 = simulation.ws2_32
    original = type(ws2_32).WSARecv

    def recording(*arguments: Any) -> int:
        steps.append("call")
        return original(ws2_32, *arguments)

    monkeypatch.setattr(ws2_32, "WSARecv", recording)
    sockets = [simulation.stream(made_here=made_here) for _ in range(5)]
    for sock in sockets:
        if flows:
            await make_flow(simulation, sock)
        sock.peer.send(pattern(5000))
    steps.clear()

    async def receive(sock: SocketOverSimulation) -> None:
        assert await sock.recv(LARGE) == pattern(5000)
        steps.append("received")

    async with simulation.nursery() as nursery:
        for sock in sockets:
            nursery.start_soon(receive, sock)
        await simulation.step()
    if made_here and flows:
        assert steps == ["call", "received"] * 5
    else:
        last = ["received"] if flows else ["call", "received"]
        assert steps == ["call"] * 5 + last * 5


@both_modes
async def test_a_large_receive_is_a_checkpoint_and_can_be_cancelled_beforehand(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    simulation.deliver_automatically()
    sock.peer.send(pattern(LARGE))
    with trio.CancelScope() as scope:
        scope.cancel()
        await sock.recv(LARGE)
    assert scope.cancelled_caught
    with assert_checkpoints():
        assert await sock.recv(LARGE) == pattern(LARGE)
