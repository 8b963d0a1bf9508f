"""Winsock, called by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation import Simulation

from .calls import Winsock


@pytest.fixture
def winsock(simulation: Simulation) -> Iterator[Winsock]:
    winsock = Winsock(simulation)
    yield winsock
    winsock.finish()
