"""A call in a task of its own, and a run that ends as by a fault inside Trio."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import outcome
import trio


class Call:
    """A call that has been started in a nursery.

    Attributes:
      scope: cancels this call.
      outcome: how it ended, or None if it has not.
    """

    def __init__(
        self, nursery: trio.Nursery, function: Callable[..., Awaitable[Any]], *args: object
    ) -> None:
        self.scope = trio.CancelScope()
        self.outcome: outcome.Outcome[Any] | None = None
        nursery.start_soon(self._run, function, *args, name=getattr(function, "__name__", None))

    async def _run(self, function: Callable[..., Awaitable[Any]], *args: object) -> None:
        with self.scope:
            self.outcome = await outcome.acapture(function, *args)

    @property
    def done(self) -> bool:
        return self.outcome is not None

    @property
    def succeeded(self) -> bool:
        return isinstance(self.outcome, outcome.Value)

    @property
    def value(self) -> Any:
        """What it returned; raises what it raised."""
        assert self.outcome is not None, "this call has not ended"
        # Raised in the test itself, Cancelled would end the test as a success.
        assert not self.cancelled, "this call was cancelled"
        if isinstance(self.outcome, outcome.Value):
            return self.outcome.value
        raise self.error

    @property
    def error(self) -> BaseException:
        """What it raised."""
        assert isinstance(self.outcome, outcome.Error), f"this call has not failed: {self.outcome}"
        return self.outcome.error

    @property
    def cancelled(self) -> bool:
        return isinstance(self.outcome, outcome.Error) and isinstance(
            self.outcome.error, trio.Cancelled
        )


class CrashingClock(trio.abc.Clock):
    """A clock that fails when told to: Trio's loop ends, and its tasks stay unfinished."""

    def __init__(self) -> None:
        self._crash = False

    def crash(self) -> None:
        """End the run when Trio reads the clock again."""
        self._crash = True

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        if self._crash:
            raise RuntimeError("the clock has stopped")
        return time.perf_counter()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.current_time()
