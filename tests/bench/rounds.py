"""Alternating rounds: every subject has its turn, then every one again, in the reverse order.

So whatever else goes on in the machine meets all of them alike, and a ratio is taken between two
turns that are next to each other.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from .processes import ProcessError, Session
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .processes import Child, Sample
    from .works import Figure, Work

WARM_UP = 0.2  # seconds
IDLE = 5.0  # microseconds in which no message can have been received
BUSY = 0.7  # the share of the time from which on a generator may be what is waited for
BEHIND = 0.95  # the share of the rate below which a generator has not kept to its schedule
SENDING: Final = {"bulk", "frames", "burst"}  # whose generators wait for nothing but an answer


def measure(
    load: Path,
    children: Mapping[str, Child],
    work: Work,
    server: int | None,
    *,
    rounds: int,
    seconds: float,
    last: bool = False,
) -> list[Table]:
    """Measure one work.

    Args:
      load: the generator.
      children: the subjects, by name.
      work: the work.
      server: Wine's server.
      rounds: how often each has its turn.
      seconds: about how long each turn takes.
      last: whether to end the subjects then, which spares them the closing of many connections.

    Returns:
      The figure that counts, and the processor time where that is another.
    """
    sessions = {name: Session(load, child, work, server) for name, child in children.items()}
    counts = {name: _calibrate(session, work, seconds) for name, session in sessions.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in sessions}
    for turn in range(rounds):
        for name in sorted(sessions, reverse=turn % 2 == 1, key=list(sessions).index):
            session = sessions[name]
            sample = session.round(counts[name], work.unit)
            if work.rate and work.processor_value(sample) < IDLE:
                raise ProcessError(f"{work.key}: {name} receives no messages")
            samples[name].append(sample)
    figures = _table(work, work.figure, work.key)
    processor = _table(work, work.processor, f"{work.key}-processor")
    for name, session in sessions.items():
        figures.rows[name] = [work.value(sample) for sample in samples[name]]
        processor.rows[name] = [work.processor_value(sample) for sample in samples[name]]
        limit = _limit(work, samples[name])
        if limit:
            figures.limits[name] = limit
        if last:
            session.abandon()
            continue
        receives = session.finish()
        if work.rate:
            figures.notes.append(f"{name}: {session.units / receives:.2f} messages per receive")
    return [figures, processor] if work.figure.more_is_better else [figures]


def _limit(work: Work, samples: Sequence[Sample]) -> str:
    """Say what the generator has limited, if anything."""
    rate = statistics.median(sample.units / sample.seconds for sample in samples)
    busy = statistics.median(sample.generator / sample.seconds for sample in samples)
    if work.rate and rate < BEHIND * work.rate:
        return f"{rate:,.0f} messages/s came instead of {work.rate:,}"
    if work.load in SENDING and busy > BUSY:
        return f"the generator was busy {busy:.0%} of the time; processor time decides"
    return ""


def _table(work: Work, figure: Figure, key: str) -> Table:
    return Table(key, work.title, figure.title, figure.unit, figure.more_is_better, base=work.base)


def _calibrate(session: Session, work: Work, seconds: float) -> int:
    """Warm up, and return how many times to do the work to fill so many seconds."""
    if work.rate:
        session.round(int(work.rate * WARM_UP), work.unit)
        return int(work.rate * seconds)
    count = work.start
    while True:
        spent = session.round(count, work.unit).seconds
        if spent > min(WARM_UP, seconds) / 2:
            return max(1, round(count * seconds / spent))
        count *= 4
