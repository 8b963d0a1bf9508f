"""Calls of Winsock made by hand, and sockets that the package serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .calls import Native

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation import Simulation


@pytest.fixture
def call(simulation: Simulation) -> Iterator[Native]:
    """Winsock, called by hand."""
    native = Native(simulation)
    yield native
    native.finish()
