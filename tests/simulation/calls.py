"""A call in a task of its own."""

from __future__ import annotations

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
