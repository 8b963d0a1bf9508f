"""All that is measured in one run, one step after the other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import cancelling, counting, machine, memory, rounds
from . import where as shares
from .subjects import datagram_subjects, started, subjects
from .web import serving
from .works import BURSTS, IDLE, WORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .machine import Machine
    from .scale import Scale
    from .subjects import Subject
    from .table import Table
    from .works import Work


def on_streams_and_datagrams(
    where: Machine, folder: Path, raw: Path, scale: Scale, want: Callable[[str], bool]
) -> Iterator[list[Table]]:
    """Do all works.

    Args:
      folder: the packages that the subjects need, on machines of their own too.
      raw: the program in C.
      want: whether a table is wanted, by its key.
    """
    if want("calls"):
        yield counting.measure(where, scale.receives)
    works = [work for work in WORKS if want(work.key)]
    few = [work for work in works if not work.needs_machine]
    yield from _works(where, subjects(where, raw), few, scale)
    for work in works:
        if work.needs_machine:
            with machine.windows(folder) as own:
                yield from _works(own, subjects(own, raw), [work], scale)
    yield from _works(where, datagram_subjects(where, raw), few, scale)
    if want("cancel"):
        with started(s for s in subjects(where, raw) if s.does("cancel")) as children:
            yield [cancelling.measure(children, count, scale.rounds) for count in scale.cancelled]
    for work in (IDLE, *BURSTS):
        if want(work.key):
            names = [subject.name for subject in subjects(where, raw) if subject.does(work.name)]
            count = scale.idle if work is IDLE else scale.bursts
            yield [memory.measure(folder, lambda own: subjects(own, raw), names, work, count)]


def _works(
    where: Machine, cast: Sequence[Subject], works: Sequence[Work], scale: Scale
) -> Iterator[list[Table]]:
    those = [work for work in works if work.base == cast[0].name]
    with started(cast if those else ()) as children:
        for work in those:
            able = {
                subject.name: children[subject.name] for subject in cast if subject.does(work.name)
            }
            yield rounds.measure(able, work, where.server, scale.rounds, scale.seconds)


def on_the_web_and_inside(
    where: Machine, scratch: Path, scale: Scale, want: Callable[[str], bool]
) -> Iterator[list[Table]]:
    """Measure web servers, and where the time goes; `scratch` is any folder."""
    for scheme in serving.SCHEMES:
        if want(scheme):
            yield serving.measure(where, scratch, scheme, scale.turns)
    if want("where"):
        yield shares.measure(where)
        yield shares.measure_web(where)


def outside_of_windows(want: Callable[[str], bool]) -> Iterator[list[Table]]:
    """Measure what runs on Linux itself."""
    assert sys.platform != "win32"
    from . import cores, own_share

    if want("own"):
        yield own_share.measure(own_share.ROUNDS)
    if want("cores"):
        yield cores.measure()
