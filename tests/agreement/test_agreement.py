"""The simulation, the real Winsock and CPython's own calls agree, except for listed differences."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import pytest
import trio

from tests.datagrams import bound
from tests.peers import HostilePeer, stdlib_pair
from tests.simulation import simulated_winsock
from tools.windows import WINE

from .worlds import Code, OverlappedWorld, RealWorld, Result, SimulatedWorld


class Scenario(NamedTuple):
    """What is done to a socket, as methods of a world, and what the receives give, in order."""

    steps: str
    expected: list[Result]
    kind: socket.SocketKind = socket.SOCK_STREAM
    #: Whether the peer has to be one outside of Wine.
    is_hostile: bool = False

    async def play(self, world: Any) -> list[Result]:
        pending: list[Any] = []
        results = []
        for step in self.steps.split(", "):
            name, *arguments = step.split()
            match name:
                case "begin":  # with how much room
                    pending.append(await world.begin(int(arguments[0])))
                case "finish":
                    results.append(await world.finish(pending.pop(0)))
                case "cancel":
                    world.cancel(pending[0])
                case "send":
                    world.send("".join(arguments).encode())
                case _:
                    getattr(world, name)()
        return results


def received(data: bytes) -> Result:
    return Result("received", data, code=0)


DATAGRAMS = socket.SOCK_DGRAM
CLOSED = Result("closed", code=Code.OPERATION_ABORTED)
CANCELLED = Result("cancelled", code=Code.OPERATION_ABORTED)
RESET = Result("failed", error=Code.WSAECONNRESET, code=Code.NETNAME_DELETED)
TRUNCATED = [Result("cut off", b"0123", Code.WSAEMSGSIZE, 0), received(b"next")]
RECEIVE = "begin 100, finish"

SCENARIOS = {
    "data before the receive": Scenario(f"send data, {RECEIVE}", [received(b"data")]),
    "data after the receive": Scenario("begin 100, send data, finish", [received(b"data")]),
    "more data than the receive takes": Scenario(
        f"begin 2, send data, finish, {RECEIVE}", [received(b"da"), received(b"ta")]
    ),
    "the end before the receive": Scenario(
        f"send data, end, {RECEIVE}, {RECEIVE}, {RECEIVE}",
        [received(b"data"), received(b""), received(b"")],
    ),
    "the end after the receive": Scenario("begin 100, end, finish", [received(b"")]),
    "a cancellation and then data": Scenario(
        f"begin 100, cancel, finish, send data, {RECEIVE}", [CANCELLED, received(b"data")]
    ),
    "data and then a cancellation": Scenario(
        f"begin 100, send data, cancel, finish, send more, {RECEIVE}",
        [received(b"data"), received(b"more")],
    ),
    "a receive of nothing": Scenario(
        f"begin 0, send data, finish, {RECEIVE}", [received(b""), received(b"data")]
    ),
    "closing while a receive waits": Scenario("begin 100, close, finish", [CLOSED]),
    "closing a datagram socket while a receive waits": Scenario(
        "begin 100, close, finish", [CLOSED], DATAGRAMS
    ),
    "closing when data is in": Scenario("begin 100, send data, close, finish", [received(b"data")]),
    "a reset while a receive waits": Scenario("begin 100, reset, finish", [RESET], is_hostile=True),
    "a receive after the receiving side was shut down": Scenario(
        f"shutdown, {RECEIVE}", [Result("failed", error=Code.WSAESHUTDOWN)]
    ),
    "a datagram that does not fit before the receive": Scenario(
        "send 0123456789, begin 4, finish, send next, begin 4, finish", TRUNCATED, DATAGRAMS
    ),
    "a datagram that does not fit after the receive": Scenario(
        "begin 4, send 0123456789, finish, send next, begin 4, finish", TRUNCATED, DATAGRAMS
    ),
    "datagrams, of which one is empty": Scenario(
        f"send data, {RECEIVE}, begin 100, send, finish",
        [received(b"data"), received(b"")],
        DATAGRAMS,
    ),
    "two receives at once": Scenario(
        "begin 4, begin 4, send 1234, send 5678, finish, finish",
        [received(b"1234"), Result("busy")],
    ),
}

#: What a scenario gives instead in CPython's ``_overlapped``.
DIFFERENCES = {
    # The handle is closed while the receive is pending; the package cancels the receive first.
    # Windows gives STATUS_CONNECTION_ABORTED then, Wine HANDLES_CLOSED.
    "closing while a receive waits": [
        Result("closed", code=Code.HANDLES_CLOSED if WINE else Code.CONNECTION_ABORTED)
    ],
    # CPython takes WSAEMSGSIZE for a refusal, and frees the buffer and what the kernel has written
    # into it; a packet comes nonetheless, and nobody waits for it.
    "a datagram that does not fit before the receive": [
        Result("failed", error=Code.WSAEMSGSIZE, code=Code.MORE_DATA),
        received(b"next"),
    ],
    # CPython takes ERROR_MORE_DATA for success and does not report that the rest is lost.
    "a datagram that does not fit after the receive": [
        Result("received", b"0123", code=Code.MORE_DATA),
        received(b"next"),
    ],
    # The kernel fills the buffers of several receives in order; the package allows one at a time,
    # since cancelling one of several on a connection cancels all of them.
    "two receives at once": [received(b"1234"), received(b"5678")],
}
if WINE:  # Windows gives STATUS_CANCELLED for datagrams, as for a cancelled receive
    DIFFERENCES["closing a datagram socket while a receive waits"] = [
        Result("closed", code=Code.HANDLES_CLOSED)
    ]

every = pytest.mark.parametrize("name", SCENARIOS)


def agree(results: list[Result], expected: list[Result]) -> bool:
    assert len(results) == len(expected)
    return all(one.agrees_with(other) for one, other in zip(results, expected, strict=True))


@contextmanager
def sockets(
    scenario: Scenario, peer: HostilePeer
) -> Iterator[tuple[socket.socket, socket.socket | None, Any]]:
    """Yield a socket, its peer if that is in this process, and the peer's address."""
    if scenario.is_hostile:
        with socket.create_connection(peer.address) as sock:
            yield sock, None, peer.address
    elif scenario.kind == socket.SOCK_STREAM:
        with stdlib_pair() as (sock, other):
            yield sock, other, None
    else:
        with bound() as sock, bound() as other:
            yield sock, other, other.getsockname()


@every
async def test_the_simulation_gives_the_expected_results(name: str) -> None:
    scenario = SCENARIOS[name]
    with simulated_winsock() as simulation:
        async with simulation.nursery() as nursery:
            world = SimulatedWorld(nursery, simulation, scenario.kind)
            results = await scenario.play(world)
            assert agree(results, scenario.expected), results
            world.close()


@every
@pytest.mark.windows
async def test_the_package_gives_the_expected_results(name: str, peer: HostilePeer) -> None:
    scenario = SCENARIOS[name]
    with sockets(scenario, peer) as ends:
        async with trio.open_nursery() as nursery:
            world = RealWorld(nursery, *ends)
            results = await scenario.play(world)
            assert agree(results, scenario.expected), results
            world.close()


@every
@pytest.mark.windows
async def test_cpython_differs_only_where_that_is_listed(name: str, peer: HostilePeer) -> None:
    scenario = SCENARIOS[name]
    with sockets(scenario, peer) as ends, closing(OverlappedWorld(*ends)) as world:
        results = await scenario.play(world)
        assert agree(results, DIFFERENCES.get(name, scenario.expected)), results
        # A difference that is listed is one.
        assert agree(results, scenario.expected) is (name not in DIFFERENCES)
