"""Receives on streams that are large, since the last one completed inline and there was much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.simulation import Call

if TYPE_CHECKING:
    from tests.simulation import Simulation
    from tests.simulation.sockets import SocketOverSimulation

SMALL = 1024
LARGE = 256 * 1024
MOST_LARGE = 64  # in one run: 16 MiB

both_modes = pytest.mark.parametrize("made_here", [False, True], ids=["default", "skip mode"])


def capacity(sock: SocketOverSimulation) -> int:
    """Return how much the receive asks for that the kernel has."""
    (request,) = sock.peer.requests
    return int(request.capacity)


async def make_flow(simulation: Simulation, sock: SocketOverSimulation) -> None:
    """Receive so much of what waits that the next receive is a large one."""
    async with trio.open_nursery() as nursery:
        sock.peer.send(bytes(LARGE))
        call = Call(nursery, sock.recv, LARGE)
        await simulation.step()
        assert call.value == bytes(LARGE)
