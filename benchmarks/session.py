"""A subject at work, connected to a load generator of its own."""

from __future__ import annotations

import sys
import time
from typing import Final, NamedTuple

from .processes import REPOSITORY, Child, ProcessError, processor_seconds
from .works import Work

QUIET: Final = 0.025  # seconds; a subject that uses no processor time for so long is done


class Sample(NamedTuple):
    """One round, in seconds; the processor time includes that of Wine's server."""

    units: float
    seconds: float
    processor: float
    generator: float

    @property
    def rate(self) -> float:
        return self.units / self.seconds

    @property
    def per_unit(self) -> float:
        """The processor time for each unit of the work, in microseconds."""
        return 1e6 * self.processor / self.units


class Session:
    """A subject that does one work, until `finish`."""

    def __init__(self, subject: Child, work: Work, server: int | None) -> None:
        self._subject = subject
        self._pids = (subject.pid, server)
        load = map(str, (work.load, work.connections, work.rate, work.size))
        command = [sys.executable, "-m", "benchmarks.load", *load]
        self._generator = Child(command, folder=REPOSITORY)
        (port,) = self._generator.expect("port")
        subject.tell(f"{work.name} {port:.0f} {work.connections}")
        self._expect("connected")
        self.settle()

    def _expect(self, name: str) -> list[float]:
        try:
            return self._generator.expect(name)
        except ProcessError as error:  # the subject's output may have the reason
            raise ProcessError(f"{error}{self._subject.end()}") from None

    def settle(self) -> None:
        """Wait until the subject has nothing left to do."""
        before, now = -1.0, processor_seconds(*self._pids)
        while now - before >= QUIET / 50:
            time.sleep(QUIET)
            before, now = now, processor_seconds(*self._pids)

    def round(self, count: int, unit: float, rate: float | None = None) -> Sample:
        """Do the work so many times, so many units each; at a rate if not the work's own."""
        before = processor_seconds(*self._pids)
        self._generator.tell(str(count) if rate is None else f"{count} {rate}")
        seconds, generator = self._expect("round")
        self.settle()
        processor = processor_seconds(*self._pids) - before
        return Sample(count * unit, seconds, processor, generator)

    def finish(self, *, abandon: bool = False) -> None:
        """End the connections; or end the subject at once, and the connections with it."""
        if abandon:
            self._subject.kill()
        self._generator.finish()
        if not abandon:
            self._subject.answer("done")
