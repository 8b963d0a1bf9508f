"""Alternating rounds: every subject has one turn, then again in the reverse order, and so on.

So whatever else happens on the machine affects all of them alike, and a ratio compares two turns
that are next to each other.  Each subject is connected to a load generator of its own.

The memory of connections is measured before anything was received, or after a burst.  A process is
compared with itself when it had a few connections, never received on.  So what a burst leaves
behind for all connections together counts, too.  Every process has a machine of its own then, and
is killed at the end, which avoids closing thousands of connections.  Wine's server dies of an
assertion (``set_fd_events``) when a process is killed while overlapped receives wait, and with it
every other process of that machine.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import psutil

from . import machine
from .machine import Child, Machine, ProcessError, processor_seconds
from .results import Figure, Table
from .works import IDLE, Work, started

Subject = TypeVar("Subject")

TURN: Final = 0.05  # seconds, about
QUIET: Final = 0.025  # seconds; a subject that uses no processor time for so long is done
WARM_UP: Final = 0.2  # seconds
QUICKEST: Final = 5.0  # microseconds; no message can be received in less
BUSY: Final = 0.7  # above this share of the time the generator may be the limit
BEHIND: Final = 0.95  # the share of the rate below which a generator has missed its schedule
SENDING: Final = {"flood", "frames"}  # loads whose generators only send
A_FEW: Final = 50  # connections


class Sample(NamedTuple):
    """One round."""

    seconds: float
    rate: float  # units of the work per second
    processor: float  # microseconds for each unit, those of Wine's server included
    busy: float  # the share of the time that the generator was


class Session:
    """A subject that does one work, until `finish`."""

    def __init__(self, subject: Child, work: Work, server: int | None) -> None:
        self._subject = subject
        self._pids = (subject.pid, server)
        load = map(str, (work.load, work.connections, work.rate, work.size))
        self._generator = Child([sys.executable, "-m", "benchmarks.load", *load])
        (port,) = self._generator.expect("port")
        subject.tell(f"{work.name} {port:.0f} {work.connections}")
        self._expect("connected")
        self._settle()

    def _expect(self, name: str) -> list[float]:
        try:
            return self._generator.expect(name)
        except ProcessError as error:  # the subject's output may have the reason
            raise ProcessError(f"{error}{self._subject.end()}") from None

    def _settle(self) -> None:
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
        self._settle()
        used, units = processor_seconds(*self._pids) - before, count * unit
        return Sample(seconds, units / seconds, 1e6 * used / units, generator / seconds)

    def finish(self, *, kill: bool = False) -> None:
        """End the connections; or kill the subject, and the connections with it."""
        if kill:
            self._subject.finish(kill)
        self._generator.finish()
        if not kill:
            self._subject.answer("done")


def alternating(subjects: Iterable[Subject], rounds: int) -> Iterator[Subject]:
    """Give every subject its turns."""
    order = list(subjects)
    for turn in range(rounds):
        yield from reversed(order) if turn % 2 else order


def measure_all(where: Machine, works: Sequence[Work], rounds: int) -> Iterator[Table]:
    """Measure works one after the other, by the same processes."""
    names = dict.fromkeys(name for work in works for name in work.subjects)
    with started(where, names) as children:
        for work in works:
            chosen = {name: children[name] for name in work.subjects}
            yield from measure(chosen, work, where.server, rounds)


def measure(
    children: Mapping[str, Child], work: Work, server: int | None, rounds: int
) -> list[Table]:
    """Measure one work: the compared figure, and the processor time if that is another one."""
    sessions = {name: Session(child, work, server) for name, child in children.items()}
    counts = {name: _calibrate(session, work) for name, session in sessions.items()}
    base, rate = next(iter(children)), None
    if work.load == "dry":
        # All are sent what the base can just take.
        counts = dict.fromkeys(counts, counts[base])
        rate = counts[base] / TURN
    samples: dict[str, list[Sample]] = {name: [] for name in sessions}
    for name in alternating(sessions, rounds):
        sample = sessions[name].round(max(1, round(counts[name])), work.unit, rate)
        if work.rate and sample.processor < QUICKEST:
            raise ProcessError(f"{work.key}: {name} receives no messages")
        samples[name].append(sample)
    tables = [Table(work.key, work.title, work.figure or work.processor, base)]
    if work.figure:
        tables.append(Table(f"{work.key}-processor", work.title, work.processor, base))
    for name, session in sessions.items():
        tables[-1].add(name, *(sample.processor for sample in samples[name]))
        if work.figure:
            tables[0].add(name, *(sample.rate for sample in samples[name]))
        if limit := _limit(work, samples[name]):
            tables[0].limits[name] = limit
        session.finish(kill=work.needs_machine)  # closing many connections takes long
    return tables


def _limit(work: Work, samples: Sequence[Sample]) -> str:
    """Say how the generator has limited the figure, if it has."""
    rate = statistics.median(sample.rate for sample in samples)
    busy = statistics.median(sample.busy for sample in samples)
    if work.rate and rate < BEHIND * work.rate:
        return f"{rate:,.0f} messages/s came instead of {work.rate:,}"
    if work.load in SENDING and busy > BUSY:
        return f"the generator was busy {busy:.0%} of the time; compare processor time instead"
    return ""


def _calibrate(session: Session, work: Work) -> float:
    """Warm up, and return how many times to do the work to fill a turn."""
    if work.rate:
        session.round(int(work.rate * WARM_UP), work.unit)
        return work.rate * TURN
    count = work.start
    while (spent := session.round(count, work.unit).seconds) <= TURN / 2:
        count *= 4
    return count * TURN / spent


def memory(work: Work, connections: int) -> Table:
    """Compare a process with a few idle connections and the same with many that did a work."""
    title = f"{connections:,} connections, {work.title}; a receive waits on each"
    table = Table(work.key, title, work.processor)
    for name in work.subjects:
        with machine.windows() as own, started(own, [name]) as children:
            child = children[name]
            process = psutil.Process(child.pid)
            session = Session(child, IDLE[0]._replace(connections=A_FEW), own.server)
            before = process.memory_info().rss
            session.finish()
            session = Session(child, work._replace(connections=connections), own.server)
            if work.load == "burst":
                session.round(1, connections)
            growth = process.memory_info().rss - before
            session.finish(kill=True)
        table.add(name, growth / (connections - A_FEW) / 1024)
    return table


def cancel(children: Mapping[str, Child], connections: int, rounds: int) -> Table:
    """Cancel a receive on each connection; the subjects measure the time themselves."""
    title, figure = f"cancel {connections:,} receives that wait", Figure("time per receive", "µs")
    table = Table(f"cancel-{connections}", title, figure)
    work = IDLE[0]._replace(name="cancel", connections=connections)
    sessions = {name: Session(child, work, None) for name, child in children.items()}
    for turn in range(rounds + 1):
        for name, child in children.items():
            child.tell("again")
            (seconds,) = child.expect("seconds")
            if turn:  # the first is for warming up
                table.add(name, 1e6 * seconds / connections)
    for name, child in children.items():
        child.tell("enough")
        sessions[name].finish()
    return table
