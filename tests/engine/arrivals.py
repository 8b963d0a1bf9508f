"""Sockets of either kind on the simulation, what arrives on them, and what Windows chooses."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.receiving import SENDER, SENDER_ADDRESS, result_of
from tests.simulation import Simulation
from tests.simulation.behaviour import OPTIONS
from tests.simulation.sockets import SocketOverSimulation

AsyncTest = Callable[..., Awaitable[None]]

both_kinds = pytest.mark.parametrize("kind", ["stream", "datagrams"])


def every_choice(*names: str) -> Callable[[AsyncTest], AsyncTest]:
    """Run a test with every combination of these choices of Windows, attributes of `Behaviour`."""
    combinations = [*itertools.product(*(OPTIONS[name] for name in names))]
    choices = [dict(zip(names, each, strict=True)) for each in combinations]
    ids = [", ".join(getattr(value, "name", str(value)) for value in each) for each in combinations]

    def decorate(test: AsyncTest) -> AsyncTest:
        marked = pytest.mark.parametrize("choices", choices, indirect=True, ids=ids)(test)
        return pytest.mark.usefixtures("choices")(marked)

    return decorate


def make_socket(
    simulation: Simulation, kind: str, *, made_here: bool = False
) -> SocketOverSimulation:
    """Make a socket of one of the two kinds."""
    make = simulation.stream if kind == "stream" else simulation.datagrams
    return make(made_here=made_here)


def arrive(sock: SocketOverSimulation, data: bytes) -> None:
    """Have bytes arrive on a stream, or a datagram with its sender."""
    sock.peer.send(data) if sock.peer.is_stream else sock.peer.send(data, SENDER)


def expected_of(sock: SocketOverSimulation, method: str, data: bytes) -> Any:
    """Return what a receive of `tests.receiving.RECEIVES` gives for what `arrive` is given."""
    return result_of(method, data, None if sock.peer.is_stream else SENDER_ADDRESS)
