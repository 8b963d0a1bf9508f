"""Ending a `trio.run` as a fault inside Trio does."""

from __future__ import annotations

import time

import trio


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
