"""How a socket was made, and what Windows chooses."""

from __future__ import annotations

import pytest

from tests.simulation import Simulation


@pytest.fixture(params=["adopted", "made here"])
def made_here(request: pytest.FixtureRequest) -> bool:
    """Whether the package has made the socket itself, so that it is in skip mode."""
    return bool(request.param == "made here")


@pytest.fixture
def choices(simulation: Simulation, request: pytest.FixtureRequest) -> None:
    """Have the simulation choose what `every_choice` gives."""
    simulation.behave(**request.param)
