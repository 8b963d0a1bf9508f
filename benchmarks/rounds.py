"""Alternating rounds: every subject has one turn, then again in the reverse order, and so on.

So whatever else happens on the machine affects all of them alike, and a ratio compares two turns
that are next to each other.  Each subject is connected to a load generator of its own.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from .processes import REPOSITORY, Child, ProcessError, processor_seconds
from .table import Table
from .works import Work

Subject = TypeVar("Subject")

QUIET: Final = 0.025  # seconds; a subject that uses no processor time for so long is done
WARM_UP: Final = 0.2  # seconds
IDLE: Final = 5.0  # microseconds; no message can be received in less
BUSY: Final = 0.7  # the share of the time from which on the generator may be the limit
BEHIND: Final = 0.95  # the share of the rate below which a generator has missed its schedule
SENDING: Final = {"flood", "frames"}  # loads whose generators only send


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


def alternating(subjects: Iterable[Subject], rounds: int) -> Iterator[Subject]:
    """Give every subject its turns."""
    order = list(subjects)
    for turn in range(rounds):
        yield from reversed(order) if turn % 2 else order


def measure(
    children: Mapping[str, Child], work: Work, server: int | None, rounds: int, seconds: float
) -> list[Table]:
    """Measure one work: the compared figure, and the processor time if that is another one."""
    sessions = {name: Session(child, work, server) for name, child in children.items()}
    counts = {name: _calibrate(session, work, seconds) for name, session in sessions.items()}
    rate = None
    if work.load == "dry":
        # All are sent what the base can just take.
        counts = dict.fromkeys(counts, counts[work.base])
        rate = counts[work.base] / seconds
    samples: dict[str, list[Sample]] = {name: [] for name in sessions}
    for name in alternating(sessions, rounds):
        sample = sessions[name].round(max(1, round(counts[name])), work.unit, rate)
        if work.rate and sample.per_unit < IDLE:
            raise ProcessError(f"{work.key}: {name} receives no messages")
        samples[name].append(sample)
    key = f"{work.key}-processor" if work.figure else work.key
    tables = [Table(key, work.title, work.processor, work.base)]
    if work.figure:
        tables.insert(0, Table(work.key, work.title, work.figure, work.base))
    for name, session in sessions.items():
        tables[-1].add(name, *(sample.per_unit for sample in samples[name]))
        if work.figure:
            tables[0].add(name, *(sample.rate for sample in samples[name]))
        if limit := _limit(work, samples[name]):
            tables[0].limits[name] = limit
        session.finish(abandon=work.needs_machine)  # closing many connections takes long
    return tables


def _limit(work: Work, samples: Sequence[Sample]) -> str:
    """Say how the generator has limited the figure, if it has."""
    rate = statistics.median(sample.rate for sample in samples)
    busy = statistics.median(sample.generator / sample.seconds for sample in samples)
    if work.rate and rate < BEHIND * work.rate:
        return f"{rate:,.0f} messages/s came instead of {work.rate:,}"
    if work.load in SENDING and busy > BUSY:
        return f"the generator was busy {busy:.0%} of the time; compare processor time instead"
    return ""


def _calibrate(session: Session, work: Work, seconds: float) -> float:
    """Warm up, and return how many times to do the work to fill so many seconds."""
    if work.rate:
        session.round(int(work.rate * WARM_UP), work.unit)
        return work.rate * seconds
    count = work.start
    while (spent := session.round(count, work.unit).seconds) <= seconds / 2:
        count *= 4
    return count * seconds / spent
