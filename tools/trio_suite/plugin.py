"""A pytest plugin for one run of Trio's tests, on our sockets if asked; it writes the outcomes.

The file gets one JSON value a line as soon as it is known, so that it shows where a run stopped:
`[test, outcome, message]` for each test, and at the end the package's statistics.

Tests that hang where Wine is not Windows, on Trio's sockets and on ours, have a deadline.  To hang
is then an outcome, and compared like others.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

import trio_wsarecv

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

#: The outcome of a test that has reached its deadline.
HUNG = "hung"
#: In seconds: less than the 60 of ``faulthandler_timeout``, which ends the whole run.
DEADLINE = 45.0
#: Tests that may hang, and why.
MAY_HANG = {
    "test_highlevel_socket.py::test_SocketStream_generic": "where both directions are full, the "
    "end of the peer does not wake wait_writable on Wine 10.0",
}


class Hung(Exception):
    """A test has reached its deadline."""


def with_deadline(test: Callable[[], Awaitable[None]], reason: str) -> Callable[[], Any]:
    """Have a test raise `Hung` at the deadline."""

    @functools.wraps(test)
    async def wrapper() -> None:
        with trio.move_on_after(DEADLINE) as scope:
            await test()
        if scope.cancelled_caught:
            raise Hung(f"no end in {DEADLINE:.0f} s: {reason}")

    return wrapper


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, required=True, help="write the outcomes there")
    parser.addoption("--patched", action="store_true", help="call patch_trio() first")
    parser.addoption("--only", type=Path, help="a JSON list of the tests to run")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--patched"):
        trio_wsarecv.patch_trio()
    config.pluginmanager.register(Recorder(config.getoption("--outcomes")))


def name_of(item: pytest.Item) -> str:
    return f"{item.path.name}::{item.nodeid.partition('::')[2]}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if only := config.getoption("--only"):
        wanted = set(json.loads(only.read_text()))
        items[:] = [item for item in items if name_of(item) in wanted]
    for item in items:
        if isinstance(item, pytest.Function) and (reason := MAY_HANG.get(name_of(item))):
            item.obj = with_deadline(item.obj, reason)


def pytest_collection_finish() -> None:
    gc.disable()
    gc.collect()
    gc.freeze()


def summary(exc: BaseException) -> str:
    """Say in a line what is wrong; of a group of one, its member."""
    while len(getattr(exc, "exceptions", ())) == 1:
        exc = exc.exceptions[0]  # type: ignore[attr-defined]
    text = str(exc).strip().partition("\n")[0]
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Collect the garbage of a test, so that warnings about it count for that test."""
    result = yield
    gc.collect()
    return result


class Recorder:
    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="ascii")
        self.outcome = self.message = ""

    def write(self, value: object) -> None:
        self.file.write(json.dumps(value) + "\n")
        self.file.flush()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "setup":
            self.outcome = self.message = ""
        expected = hasattr(report, "wasxfail")
        if report.failed:
            self.outcome = "failed" if report.when == "call" else "error"
            if call.excinfo and call.excinfo.errisinstance(Hung):
                self.outcome = HUNG
        elif report.skipped:
            self.outcome = "xfailed" if expected else "skipped"
        elif report.when == "call":
            self.outcome = "xpassed" if expected else "passed"
        if call.excinfo and self.outcome != "passed":
            self.message = summary(call.excinfo.value)
        if report.when == "teardown":
            self.write([name_of(item), self.outcome, self.message])
        return report

    def pytest_sessionfinish(self) -> None:
        self.write(dataclasses.asdict(trio_wsarecv.statistics()))
        self.file.close()
