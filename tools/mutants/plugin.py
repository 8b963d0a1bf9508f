"""What the tests run under while a mutant is at them: no time for shrinking, and no randomness.

Here it counts that a test fails, not how; and a mutant that is killed today is killed tomorrow.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import hypothesis
import pytest
from coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Generator

#: Seconds after which a test of a mutant is taken to hang.
DEADLINE = 15.0

hypothesis.settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def pytest_configure(config: pytest.Config) -> None:
    conftest = sys.modules["tests.conftest"]
    conftest.DEADLINE = DEADLINE  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    coverage = Coverage.current()
    if coverage is not None:
        coverage.switch_context(item.nodeid)
    return (yield)
