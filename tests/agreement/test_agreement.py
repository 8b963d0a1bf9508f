"""The simulation, the real Winsock and CPython's own calls agree, except for listed differences."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.peers import HostilePeer, stdlib_pair
from tests.simulation import simulated_winsock

from .differences import DIFFERENCES
from .packaged import RealWorld, SimulatedWorld
from .scenarios import SCENARIOS, Result, Scenario

EVERY = pytest.mark.parametrize("name", SCENARIOS)
WORLDS = ("simulation", "package", "_overlapped")


def check(world: str, name: str, results: list[Result]) -> None:
    """Compare the results of a scenario with those expected in this world."""
    difference = DIFFERENCES.get((world, name))
    expected = difference.results if difference else SCENARIOS[name].expected
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        assert result.agrees_with(wanted), (result, wanted)


@contextmanager
def sockets(
    scenario: Scenario, peer: HostilePeer
) -> Iterator[tuple[socket.socket, socket.socket | None, Any]]:
    """Yield a socket, its peer if that is in this process, and the peer's address."""
    if scenario.hostile:
        with socket.create_connection(peer.address) as sock:
            yield sock, None, peer.address
    elif scenario.kind == socket.SOCK_STREAM:
        with stdlib_pair() as (sock, other):
            yield sock, other, None
    else:
        with socket.socket(type=scenario.kind) as sock, socket.socket(type=scenario.kind) as other:
            for each in (sock, other):
                each.bind(("127.0.0.1", 0))
            yield sock, other, other.getsockname()


@EVERY
async def test_the_simulation(name: str) -> None:
    scenario = SCENARIOS[name]
    with simulated_winsock() as simulation:
        async with simulation.nursery() as nursery:
            world = SimulatedWorld(nursery, simulation, scenario.kind)
            check("simulation", name, await scenario.play(world))
            await world.close()


if sys.platform == "win32":
    import trio

    from .overlapped import OverlappedWorld

    @EVERY
    async def test_the_package(name: str, peer: HostilePeer) -> None:
        scenario = SCENARIOS[name]
        with sockets(scenario, peer) as ends:
            async with trio.open_nursery() as nursery:
                world = RealWorld(nursery, *ends)
                check("package", name, await scenario.play(world))
                await world.close()

    @EVERY
    async def test_what_cpython_has(name: str, peer: HostilePeer) -> None:
        scenario = SCENARIOS[name]
        with sockets(scenario, peer) as ends, OverlappedWorld(*ends) as world:
            check("_overlapped", name, await scenario.play(world))


@pytest.mark.parametrize("where", DIFFERENCES, ids=": ".join)
def test_a_listed_difference_differs(where: tuple[str, str]) -> None:
    world, name = where
    assert world in WORLDS
    difference = DIFFERENCES[where]
    expected = SCENARIOS[name].expected
    assert difference.reason
    assert len(difference.results) != len(expected) or not all(
        result.agrees_with(wanted)
        for result, wanted in zip(difference.results, expected, strict=True)
    )
