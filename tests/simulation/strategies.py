"""Behaviours of Windows for Hypothesis to draw."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .behaviour import OPTIONS, Behaviour


def behaviours() -> SearchStrategy[Behaviour]:
    """Draw any combination of the choices, or a seed for the model to draw them."""
    drawn = {name: st.sampled_from(options) for name, options in OPTIONS.items()}
    return st.builds(Behaviour, **drawn) | st.builds(Behaviour, seed=st.integers(0, 1 << 16))
