"""A second receive waits for its turn where the first one is about to end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.receiving import RECEIVES, winerror
from tests.simulation import Call, Simulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv

from .arrivals import arrive, expected_of, make_socket

ONE, TWO, THREE = (bytes([octet]) * 100 for octet in b"123")

both_engines = pytest.mark.parametrize("engine", ["overlapped", "readiness"])


class Receiving:
    """A socket, and receives on it, all by the same method."""

    def __init__(self, simulation: Simulation, method: str, kind: str, engine: str) -> None:
        self.simulation = simulation
        self.method = method
        self.sock = make_socket(simulation, kind)
        self.sock.peer.ifs_handles = self.overlapped = engine == "overlapped"

    async def receive(self) -> Any:
        return await RECEIVES[self.method](self.sock)

    def arrive(self, *data: bytes) -> None:
        for each in data:
            arrive(self.sock, each)

    def is_result(self, call: Call, data: bytes) -> bool:
        return bool(call.value == expected_of(self.sock, self.method, data))

    async def begin_and_hold(self) -> Call:
        """Cancel a pending receive, whose packet comes later."""
        call = await self.simulation.begin(self.receive)
        self.simulation.behave(prompt=False)
        call.scope.cancel()
        return call

    async def end(self, held: Call) -> None:
        """Deliver the packet of a receive that was cancelled."""
        self.simulation.behave(prompt=True)
        await self.simulation.step()
        assert held.cancelled


@pytest.fixture
def receiving(simulation: Simulation, request: pytest.FixtureRequest) -> Receiving:
    return Receiving(simulation, *request.param)


def of_every_kind(*engines: str) -> pytest.MarkDecorator:
    """Have a test receive by every method, on both kinds of sockets, by each of these engines."""
    kinds = [*itertools.product(RECEIVES, ["stream", "datagrams"], engines)]
    return pytest.mark.parametrize("receiving", kinds, indirect=True, ids=", ".join)


every_receiving = of_every_kind("overlapped", "readiness")
every_overlapped = of_every_kind("overlapped")


@every_receiving
async def test_a_receive_waits_behind_one_whose_data_has_arrived(
    simulation: Simulation, receiving: Receiving
) -> None:
    for _ in range(5):  # Trio runs the two in either order
        first = await simulation.begin(receiving.receive)
        receiving.arrive(ONE)
        simulation.deliver()
        second = await simulation.begin(receiving.receive)
        assert receiving.is_result(first, ONE)
        assert not second.done
        receiving.arrive(TWO)
        await simulation.step()
        assert receiving.is_result(second, TWO)


@every_receiving
async def test_receives_in_line_are_served_in_order_with_data_that_has_arrived(
    simulation: Simulation, receiving: Receiving
) -> None:
    first = await receiving.begin_and_hold()
    others = []
    for data in (ONE, TWO, THREE):
        others.append(simulation.call(receiving.receive))
        await trio.testing.wait_all_tasks_blocked()
        receiving.arrive(data)
    await receiving.end(first)
    for call, data in zip(others, (ONE, TWO, THREE), strict=True):
        assert receiving.is_result(call, data)


@every_overlapped
async def test_two_receives_at_the_same_time_both_get_data_that_has_arrived(
    simulation: Simulation, receiving: Receiving, made_here: bool
) -> None:
    receiving.sock.receiver.made_here = made_here
    for _ in range(5):  # Trio runs the two in either order
        receiving.arrive(ONE, TWO)
        one, two = (simulation.call(receiving.receive) for _ in range(2))
        await simulation.step()
        if not receiving.is_result(one, ONE):
            one, two = two, one
        assert receiving.is_result(one, ONE)
        assert receiving.is_result(two, TWO)


class ArrivesWhenTrioPolls(trio.abc.Instrument):
    """Has something arrive when Trio polls the system the next time."""

    def __init__(self, arrive: Callable[[], object]) -> None:
        self._arrive = arrive

    def after_io_wait(self, timeout: float) -> None:
        trio.lowlevel.remove_instrument(self)
        self._arrive()


@every_receiving
async def test_a_receive_that_finds_another_pending_lets_trio_poll_for_its_packet_first(
    simulation: Simulation, receiving: Receiving
) -> None:
    first = await simulation.begin(receiving.receive)

    def arrive() -> None:
        receiving.arrive(ONE, TWO)
        simulation.deliver()

    async def receive_just_before() -> Any:
        trio.lowlevel.add_instrument(ArrivesWhenTrioPolls(arrive))
        return await receiving.receive()

    second = simulation.call(receive_just_before)
    await simulation.step()
    assert receiving.is_result(first, ONE)
    assert receiving.is_result(second, TWO)


@pytest.mark.parametrize("data", [b"", ONE], ids=["nothing", "data"])
@every_overlapped
async def test_a_receive_cancelled_in_line_gives_data_that_has_arrived_when_its_turn_comes(
    simulation: Simulation, receiving: Receiving, data: bytes
) -> None:
    # So does one whose deadline passes while it is in line.
    first = await receiving.begin_and_hold()
    second = await simulation.begin(receiving.receive)
    second.scope.cancel()
    await simulation.run()
    assert not second.done
    if data:
        receiving.arrive(data)
    await receiving.end(first)
    if data:
        assert receiving.is_result(second, data)
    else:
        assert second.cancelled


@every_receiving
async def test_receives_wait_behind_a_cancelled_one_and_are_refused_behind_a_pending_one(
    simulation: Simulation, receiving: Receiving
) -> None:
    first = await receiving.begin_and_hold()
    others = [simulation.call(receiving.receive) for _ in range(3)]
    await simulation.run()
    assert first.done is not receiving.overlapped
    assert not (receiving.overlapped and any(call.done for call in others))
    await receiving.end(first)
    busy = [call for call in others if call.done]
    (waits,) = [call for call in others if not call.done]
    assert [type(call.error) for call in busy] == [trio.BusyResourceError] * 2
    receiving.arrive(ONE)
    await simulation.step()
    assert receiving.is_result(waits, ONE)


@both_engines
@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL"])
async def test_a_receive_in_line_is_refused_when_the_next_part_of_another_is_pending(
    simulation: Simulation, kind: str, engine: str
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = engine == "overlapped"
    buffer = bytearray(8)
    for _ in range(5):  # Trio runs the two in either order
        if kind == "receive_exactly":
            call = simulation.call(SocketStream(sock).receive_exactly_into, buffer)
        else:
            call = simulation.call(wsarecv, sock, [buffer], MsgFlag.MSG_WAITALL)
        await simulation.run()
        sock.peer.send(b"data")
        simulation.deliver()
        second = await simulation.begin(sock.recv, 100)
        assert isinstance(second.error, trio.BusyResourceError)
        assert not call.done
        sock.peer.send(b"more")
        await simulation.step()
        assert call.succeeded
        assert buffer == b"datamore"


@every_receiving
async def test_a_receive_on_a_closed_socket_fails_although_another_is_pending(
    simulation: Simulation, receiving: Receiving
) -> None:
    first = await simulation.begin(receiving.receive)
    simulation.behave(prompt=False)
    receiving.sock.close()
    others = [simulation.call(receiving.receive) for _ in range(2)]
    await simulation.run()
    for call in others:
        assert winerror(call.error) == WinsockError.WSAENOTSOCK
    await simulation.step()
    assert isinstance(first.error, trio.ClosedResourceError)


@every_overlapped
async def test_closing_ends_all_receives_in_line(
    simulation: Simulation, receiving: Receiving
) -> None:
    first = await receiving.begin_and_hold()
    others = [simulation.call(receiving.receive) for _ in range(3)]
    await simulation.run()
    receiving.arrive(ONE)
    receiving.sock.close()
    await simulation.step()
    assert first.cancelled
    assert [type(call.error) for call in others] == [trio.ClosedResourceError] * 3
    assert simulation.events.count("receive") == 1
    assert receiving.sock.peer.handles == 0


async def test_receives_in_line_get_the_bytes_that_a_cancelled_exact_receive_pushes_back(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    exact = await simulation.begin(SocketStream(sock).receive_exactly, 10)
    sock.peer.send(b"data")
    await simulation.step()
    simulation.behave(prompt=False)
    exact.scope.cancel()
    others = []
    for _ in range(2):
        others.append(simulation.call(sock.recv, 2))
        await simulation.run()
    await simulation.step()
    assert exact.cancelled
    assert [call.value for call in others] == [b"da", b"ta"]
