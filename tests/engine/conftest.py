"""Sockets that the package serves, made in either way."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["adopted", "made here"])
def made_here(request: pytest.FixtureRequest) -> bool:
    """Whether the package has made the socket itself, so that it is in skip mode."""
    return bool(request.param == "made here")
