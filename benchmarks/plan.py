"""What one run measures, one table after the other, and how much of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from . import machine, profiles, rounds, waiting, web
from .machine import Machine
from .subjects import started, subjects, takes_part
from .table import OURS, RAW, RUN, SCHEMES, STOCK, STOCK_DATAGRAMS, Table
from .works import BURSTS, IDLE, WORKS, Work

# With thousands of connections: Wine has no handles for those of all subjects.
FEW: Final = {STOCK, OURS, RUN, RAW}


class Scale(NamedTuple):
    """How much is done."""

    starts: int = 1  # of all processes, when packages are compared
    rounds: int = 10  # many short ones: a virtual machine's speed changes every second or so
    seconds: float = 0.05  # of a turn, about
    receives: int = 50  # to count the calls of
    cancelled: tuple[int, int] = (500, 2000)  # receives at a time, few and many
    idle: int = 2000  # connections that are never received on
    bursts: int = 500  # connections that are idle after a burst
    turns: int = 3  # of each web server


FULL: Final = Scale()
QUICK: Final = Scale(rounds=2, receives=10, cancelled=(100, 300), idle=200, bursts=100, turns=1)
# Two processes of one program differ by a few per cent for as long as they run.
AGAINST: Final = Scale(starts=3, rounds=15)


class Plan(NamedTuple):
    """What to do."""

    raw: Path  # the program in C
    packages: Path  # the folder with the packages that the subjects need
    scale: Scale
    want: Callable[[str], bool]  # whether a table is wanted, by its key


def on_windows(where: Machine, plan: Plan) -> Iterator[Table]:
    """Measure all that runs on Windows."""
    raw, packages, scale, want = plan
    if want("calls"):
        yield from profiles.count(where, scale.receives)
    works = [work for work in WORKS if want(work.key)]
    for base in (STOCK, STOCK_DATAGRAMS):
        yield from _do(where, plan, [w for w in works if w.base == base and not w.needs_machine])
    for work in works:
        if work.needs_machine:
            with machine.windows(packages) as own:
                yield from _do(own, plan, [work])
    if want("cancel"):
        with started(s for s in subjects(where, raw) if takes_part(s.name, "cancel")) as children:
            for count in scale.cancelled:
                yield waiting.cancel(children, count, scale.rounds)
    for work in (IDLE, *BURSTS):
        if want(work.key):
            count = scale.idle if work is IDLE else scale.bursts
            yield waiting.memory(packages, raw, work, count)
    if sys.platform == "linux":  # where wrk is
        for scheme in SCHEMES:
            if want(scheme):
                yield from web.measure(where, raw.parent, scheme, scale.turns)
        if want("where"):
            yield from profiles.times(where)


def _do(where: Machine, plan: Plan, works: Sequence[Work]) -> Iterator[Table]:
    cast = [s for s in subjects(where, plan.raw) if any(takes_part(s.name, w.name) for w in works)]
    if any(work.needs_machine for work in works):
        cast = [subject for subject in cast if subject.name in FEW]
    with started(cast) as children:
        for work in works:
            chosen = {n: child for n, child in children.items() if takes_part(n, work.name)}
            scale = plan.scale
            yield from rounds.measure(chosen, work, where.server, scale.rounds, scale.seconds)


if sys.platform == "linux":
    from . import cores, own_share

    def on_linux(want: Callable[[str], bool]) -> Iterator[Table]:
        """Measure what needs no Windows."""
        if want("own"):
            yield from own_share.measure()
        if want("cores"):
            yield from cores.measure()
