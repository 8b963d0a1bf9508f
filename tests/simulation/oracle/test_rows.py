"""Every behaviour has its tests."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.engine import test_datagram_results, test_flags, test_stream

from .rows import ALL, TESTS, WITHOUT_TEST


def test_every_behaviour_has_a_test_or_a_reason_to_have_none() -> None:
    assert {test_datagram_results, test_flags, test_stream}  # which have theirs, too
    for path in Path(__file__).parent.glob("test_*.py"):
        importlib.import_module(f"{__package__}.{path.stem}")
    assert not set(TESTS) & set(WITHOUT_TEST)
    assert set(TESTS) | set(WITHOUT_TEST) == ALL
    assert len(ALL) == 82
