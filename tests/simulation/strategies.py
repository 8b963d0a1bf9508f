"""Behaviours of Windows for Hypothesis to draw."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .behaviour import OPTIONS, Behaviour


def behaviours(*fixed: str) -> SearchStrategy[Behaviour]:
    """Draw any combination of the choices, or a seed for the model to draw them.

    Args:
      fixed: choices that keep their defaults; then no seed is drawn.
    """
    drawn = {name: st.sampled_from(OPTIONS[name]) for name in OPTIONS if name not in fixed}
    combinations = st.builds(Behaviour, **drawn)
    if fixed:
        return combinations
    return combinations | st.builds(Behaviour, seed=st.integers(0, 1 << 16))
