"""How much memory an idle connection occupies, a receive of it waiting: at first, or after a burst.

The process is compared with itself when it had a few connections, never received on.  So what a
burst leaves to all connections in common counts, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .meter import resident_bytes
from .processes import Session
from .subjects import started
from .table import Table
from .works import IDLE, MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .subjects import Subject
    from .works import Work

FEW = 50


def measure(
    load: Path,
    subjects: Iterable[Subject],
    work: Work,
    server: int | None,
    connections: int,
    rounds: int,
) -> Table:
    """Compare a process with few idle connections and the same with many, each time a new one.

    Args:
      load: the generator.
      subjects: who is measured.
      work: what is done on each of the many connections before they are idle.
      server: Wine's server.
      connections: how many are many.
      rounds: how often.
    """
    table = Table(
        key=work.key,
        title=f"{connections:,} connections, {work.title}; a receive waits on each",
        figure=MEMORY.title,
        unit=MEMORY.unit,
        more_is_better=MEMORY.more_is_better,
    )
    for _ in range(rounds):
        for subject in subjects:
            with started([subject]) as children:
                child = children[subject.name]
                session = Session(load, child, IDLE.with_connections(FEW), server)
                before = resident_bytes(child.pid)
                session.finish()
                session = Session(load, child, work.with_connections(connections), server)
                if work.load != IDLE.load:
                    session.round(1, connections)
                grown = (resident_bytes(child.pid) - before) / (connections - FEW)
                session.abandon()
            table.rows.setdefault(subject.name, []).append(grown / 1024)
    return table
