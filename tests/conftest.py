"""The deadline of every test, the reasons to skip one, and shared fixtures."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from math import inf
from typing import Any

import cffi
import hypothesis
import pytest
import trio

from tools.windows import SYSTEM, WINE

from .datagrams import Pair, connected_datagrams
from .peers import peer as peer
from .simulation import Simulation, simulated_winsock

AsyncTest = Callable[..., Awaitable[None]]

# No deadline for one example, which varies under Wine: the whole test has one.
# CI draws the same examples each time, so that a failure is due to the change.
hypothesis.settings.register_profile(
    "trio_wsarecv", deadline=None, print_blob=True, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("trio_wsarecv")

# A shell without job control starts background processes with interrupts ignored, which the
# processes started by tests would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

DEADLINE = 30.0


def pytest_report_header() -> str:
    return f"{SYSTEM}, trio {trio.__version__}, cffi {cffi.__version__}"


def reason_to_skip(item: pytest.Item) -> str | None:
    """Return why a test cannot run on this system, or None."""
    real_windows = item.get_closest_marker("real_windows")
    if sys.platform != "win32":
        marked = real_windows or item.get_closest_marker("windows")
        return "needs a Windows CPython" if marked else None
    if real_windows and WINE and real_windows.kwargs.get("wine", (inf,)) > WINE:
        return f"{SYSTEM} differs from Windows here"
    return None


def with_deadline(test: AsyncTest, seconds: float) -> AsyncTest:
    """Make a test fail after this time, with the traceback of where it was."""

    @functools.wraps(test)
    async def wrapper(*args: Any, **kwargs: Any) -> None:
        with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
            try:
                await test(*args, **kwargs)
            except BaseException as exc:
                if scope.cancel_called:
                    raise trio.TooSlowError(f"still running after {seconds} s") from exc
                raise

    return wrapper


def in_nursery(test: AsyncTest) -> AsyncTest:
    """Run a test in a nursery for the simulation's calls, and check that nothing is left."""

    @functools.wraps(test)
    async def wrapper(simulation: Simulation, **kwargs: Any) -> None:
        async with simulation.nursery():
            await test(simulation=simulation, **kwargs)
        simulation.check_quiet()

    return wrapper


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if reason := reason_to_skip(item):
            item.add_marker(pytest.mark.skip(reason=reason))

        if isinstance(item, pytest.Function):
            deadline = item.get_closest_marker("deadline")
            seconds = deadline.args[0] if deadline else DEADLINE
            if handle := getattr(item.obj, "hypothesis", None):
                if inspect.iscoroutinefunction(handle.inner_test):
                    handle.inner_test = with_deadline(handle.inner_test, seconds)
            elif inspect.iscoroutinefunction(item.obj):
                abandons = item.get_closest_marker("abandons")
                if "simulation" in item.fixturenames and not abandons:
                    item.obj = in_nursery(item.obj)
                item.obj = with_deadline(item.obj, seconds)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A simulated Winsock under the package, checked at the end."""
    with simulated_winsock() as simulation:
        yield simulation


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A socket for datagrams, and one of the standard library that is connected to it."""
    with connected_datagrams() as pair:
        yield pair
