"""A pytest plugin for one run of Trio's tests, on our sockets if asked.

It writes how the tests ended, and what the package has counted, into ``outcomes.json``.
"""

from __future__ import annotations

import dataclasses
import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import trio_wsarecv
from tools.windows import WINE

if TYPE_CHECKING:
    from collections.abc import Generator

#: Where both directions are full, the end of the peer does not wake wait_writable on Wine 10.0.
HANGS = {"test_SocketStream_generic"} if WINE >= (10,) else {}

outcomes: dict[str, tuple[str, str]] = {}  # of each test, a word of pytest's and a message


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--patched", action="store_true", help="call patch_trio() first")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--patched"):
        trio_wsarecv.patch_trio()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if item.name not in HANGS]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Collect the garbage of a test, so that warnings about it count for that test."""
    result = yield
    gc.collect()
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        module = Path(report.location[0]).stem  # not in `nodeid` for tests in other folders
        name = report.nodeid.rpartition("::")[2]
        message = str(getattr(report.longrepr, "reprcrash", ""))
        outcomes[f"trio._tests.{module}::{name}"] = (report.outcome, message)


def pytest_sessionfinish(session: pytest.Session) -> None:
    results = outcomes, dataclasses.asdict(trio_wsarecv.statistics())
    (session.config.rootpath / "outcomes.json").write_text(json.dumps(results))
