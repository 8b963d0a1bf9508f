"""Receives on streams that make bytes: how large each is, and what the run has lent for them."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.simulation import Call, Simulation
from tests.simulation.memory import Block
from tests.simulation.sockets import SocketOverSimulation

SIZES = SMALL, MEDIUM, LARGE = 1024, 16 * 1024, 256 * 1024
MOST_LENT = 8 * 1024 * 1024  # of what is not small, in one run
MOST_LARGE = MOST_LENT // LARGE

both_modes = pytest.mark.parametrize("made_here", [False, True], ids=["default", "skip mode"])


def capacity(sock: SocketOverSimulation) -> int:
    """Return how much the receive asks for that the kernel has."""
    (request,) = sock.peer.requests
    return int(request.capacity)


def offers(sock: SocketOverSimulation) -> list[int]:
    """Return a list of how much each receive asks for that is submitted from now on."""
    submit, sizes = sock.peer.submit, []

    def recording(request: Any) -> int:
        sizes.append(request.capacity)
        return int(submit(request))

    sock.peer.submit = recording
    return sizes


class Blocks(dict[int, Block]):
    """The blocks of a simulation's memory.

    Attributes:
      total: how many bytes there are in all of them.
      lent: how many in those that the run lends, lent or free.
      most_lent: the most there have been.
    """

    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self.total = self.lent = self.most_lent = 0
        assert not simulation.kernel.memory.blocks
        simulation.kernel.memory.blocks = self

    def __setitem__(self, address: int, block: Block) -> None:
        super().__setitem__(address, block)
        self._count(block, 1)
        self.most_lent = max(self.most_lent, self.lent)

    def pop(self, address: int, *_: Any) -> Block:
        block = super().pop(address)
        self._count(block, -1)
        return block

    def _count(self, block: Block, number: int) -> None:
        self.total += number * block.size
        if block.size in SIZES[1:]:
            self.lent += number * block.size

    def sizes(self) -> list[int]:
        """Return the sizes of those that the run lends."""
        return sorted(block.size for block in self.values() if block.size in SIZES[1:])


def value_of(simulation: Simulation, call: Call) -> bytes:
    """Return what a receive has received that must have ended by now."""
    if not call.done:
        simulation.deliver_automatically()  # for else the test would not end
    data: bytes = call.value
    return data


async def receive(
    simulation: Simulation, sock: SocketOverSimulation, nbytes: int = LARGE, flags: int = 0
) -> bytes:
    """Receive what is there."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, sock.recv, nbytes, flags)
        await simulation.step()
        return value_of(simulation, call)


async def make_flow(simulation: Simulation, sock: SocketOverSimulation, size: int = LARGE) -> None:
    """Fill receives until the next one is of this size, if it may be."""
    for each in SIZES:
        if each < size:
            sock.peer.send(bytes(each))
            assert len(await receive(simulation, sock)) == each


async def make_flows(
    simulation: Simulation, count: int, *, made_here: bool = False
) -> list[SocketOverSimulation]:
    """Make connections whose next receive is a large one."""
    sockets = [simulation.stream(made_here=made_here) for _ in range(count)]
    for sock in sockets:
        await make_flow(simulation, sock)
    return sockets


async def begin(simulation: Simulation, *sockets: SocketOverSimulation) -> list[Call]:
    """Begin to receive as much as there may be on each, one after the other."""
    return [await simulation.begin(sock.recv, LARGE) for sock in sockets]
