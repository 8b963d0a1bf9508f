"""A pytest plugin for one run of Trio's tests, on our sockets if asked.

Tests that hang where Wine is not Windows, on Trio's sockets and on ours, have a deadline.  To hang
is then an outcome, and compared like others.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
from typing import TYPE_CHECKING, Any

import pytest
import trio

import trio_wsarecv

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator

#: In seconds: less than the 60 of ``faulthandler_timeout``, which ends the whole run.
DEADLINE = 45.0
#: Tests that may hang, and why.
MAY_HANG = {
    "test_SocketStream_generic": "where both directions are full, the end of the peer does not "
    "wake wait_writable on Wine 10.0",
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
    parser.addoption("--patched", action="store_true", help="call patch_trio() first")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--patched"):
        trio_wsarecv.patch_trio()


@pytest.fixture(scope="session", autouse=True)
def _statistics(record_testsuite_property: Callable[[str, object], None]) -> Iterator[None]:
    """Write the package's statistics into the JUnit file."""
    yield
    for name, value in dataclasses.asdict(trio_wsarecv.statistics()).items():
        record_testsuite_property(name, value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and (reason := MAY_HANG.get(item.name)):
            item.obj = with_deadline(item.obj, reason)


def pytest_collection_finish() -> None:
    gc.disable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Collect the garbage of a test, so that warnings about it count for that test."""
    result = yield
    gc.collect()
    return result
