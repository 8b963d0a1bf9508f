"""All that is measured in one run, one table after the other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from . import counting, machine, rounds, waiting, web
from . import where as shares
from .subjects import FEW, STOCK, STOCK_DATAGRAMS, started, subjects, takes_part
from .works import BURSTS, IDLE, WORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .machine import Machine
    from .table import Table
    from .works import Work


class Scale(NamedTuple):
    """How much is done."""

    starts: int = 1  # of all processes, when packages are compared
    rounds: int = 10  # many short ones: a virtual machine's speed changes every second or so
    seconds: float = 0.05  # of a turn, about
    receives: int = 50  # that are counted
    cancelled: tuple[int, int] = (500, 2000)  # receives at a time, few and many
    idle: int = 2000  # connections that are never received on
    bursts: int = 500  # connections that are idle after a burst
    turns: int = 3  # of each web server, of seconds


FULL: Final = Scale()
QUICK: Final = Scale(rounds=2, receives=10, cancelled=(100, 300), idle=200, bursts=100, turns=1)
# Two processes of one program differ by a few per cent for as long as they run.
AGAINST: Final = Scale(starts=3, rounds=15)


class Plan(NamedTuple):
    """What is to be done."""

    raw: Path  # the program in C
    folder: Path  # the packages that the subjects need
    scale: Scale
    want: Callable[[str], bool]  # whether a table is wanted, by its key


def on_windows(where: Machine, plan: Plan) -> Iterator[Table]:
    """Measure all that runs there."""
    raw, folder, scale, want = plan
    if want("calls"):
        yield from counting.measure(where, scale.receives)
    works = [work for work in WORKS if want(work.key)]
    for base in (STOCK, STOCK_DATAGRAMS):
        yield from _do(where, plan, [w for w in works if w.base == base and not w.needs_machine])
    for work in works:
        if work.needs_machine:
            with machine.windows(folder) as own:
                yield from _do(own, plan, [work])
    if want("cancel"):
        with started(s for s in subjects(where, raw) if takes_part(s.name, "cancel")) as children:
            for count in scale.cancelled:
                yield waiting.cancel(children, count, scale.rounds)
    for work in (IDLE, *BURSTS):
        if want(work.key):
            count = scale.idle if work is IDLE else scale.bursts
            yield waiting.memory(folder, raw, work, count)
    if sys.platform == "linux":  # where wrk is
        for scheme in web.SCHEMES:
            if want(scheme):
                yield from web.measure(where, raw.parent, scheme, scale.turns)
        if want("where"):
            yield from shares.measure(where)


def _do(where: Machine, plan: Plan, works: Sequence[Work]) -> Iterator[Table]:
    cast = subjects(where, plan.raw)
    able = [s for s in cast if any(takes_part(s.name, work.name) for work in works)]
    if any(work.needs_machine for work in works):
        able = [s for s in able if s.name in FEW]
    with started(able) as children:
        for work in works:
            those = {n: child for n, child in children.items() if takes_part(n, work.name)}
            yield from rounds.measure(those, work, where.server, plan.scale)


if sys.platform == "linux":
    from . import cores, own_share

    def on_linux(want: Callable[[str], bool]) -> Iterator[Table]:
        """Measure what needs no Windows."""
        if want("own"):
            yield from own_share.measure()
        if want("cores"):
            yield from cores.measure()
