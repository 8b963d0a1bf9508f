"""The simulation, the real Winsock and CPython's own calls agree, except for listed differences."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.datagrams import bound
from tests.peers import HostilePeer, stdlib_pair
from tests.simulation import simulated_winsock

from .packaged import RealWorld, SimulatedWorld
from .scenarios import DIFFERENCES, SCENARIOS, Result, Scenario

EVERY = pytest.mark.parametrize("name", SCENARIOS)


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


@EVERY
async def test_the_simulation(name: str) -> None:
    scenario = SCENARIOS[name]
    with simulated_winsock() as simulation:
        async with simulation.nursery() as nursery:
            world = SimulatedWorld(nursery, simulation, scenario.kind)
            results = await scenario.play(world)
            assert agree(results, scenario.expected), results
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
                results = await scenario.play(world)
                assert agree(results, scenario.expected), results
                await world.close()

    @EVERY
    async def test_what_cpython_has(name: str, peer: HostilePeer) -> None:
        scenario = SCENARIOS[name]
        with sockets(scenario, peer) as ends, OverlappedWorld(*ends) as world:
            results = await scenario.play(world)
            assert agree(results, DIFFERENCES.get(name, scenario.expected)), results
            # A difference that is listed is one.
            assert agree(results, scenario.expected) is (name not in DIFFERENCES)
