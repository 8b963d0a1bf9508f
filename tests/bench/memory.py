"""How much memory an idle connection occupies, a receive of it waiting: at first, or after a burst.

The process is compared with itself when it had a few connections, never received on.  So what a
burst leaves to all connections in common counts, too.

Every process has a machine of its own.  It is killed in the end, which spares it the closing of
thousands of connections; and Wine's server dies of an assertion (``set_fd_events``) when a process
is killed whose overlapped receives wait, and with it whatever else it serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from . import machine
from .meter import resident_bytes
from .processes import Session
from .subjects import started
from .table import Table
from .works import IDLE, MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .machine import Machine
    from .processes import Child
    from .subjects import Subject
    from .works import Work

FEW: Final = 50


def measure(
    folder: Path,
    cast: Callable[[Machine], Iterable[Subject]],
    names: Iterable[str],
    work: Work,
    connections: int,
) -> Table:
    """Compare a process with few idle connections and the same with many.

    Args:
      folder: the packages that the subjects need.
      cast: what gives the subjects of a machine.
      names: those of them that are measured.
      work: what is done on each of the many connections before they are idle.
      connections: how many are many.
    """
    title = f"{connections:,} connections, {work.title}; a receive waits on each"
    table = Table(work.key, title, MEMORY)
    for name in names:
        with machine.windows(folder) as where:
            (subject,) = (each for each in cast(where) if each.name == name)
            with started([subject]) as children:
                grown = _grown(children[name], replace(work, connections=connections), where)
        table.add(name, grown / (connections - FEW) / 1024)
    return table


def _grown(child: Child, work: Work, where: Machine) -> int:
    """Return by how many bytes a process has grown with its connections."""
    session = Session(child, replace(IDLE, connections=FEW), where.server)
    before = resident_bytes(child.pid)
    session.finish()
    session = Session(child, work, where.server)
    if work.load != IDLE.load:
        session.round(1, work.connections)
    after = resident_bytes(child.pid)
    session.abandon()
    return after - before
