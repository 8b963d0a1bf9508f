"""Many connections on which a receive waits: the memory of each, and what cancelling takes.

The memory is that at first, or after a burst.  A process is compared with itself when it had a few
connections, never received on.  So what a burst leaves to all connections in common counts, too.

Every process has a machine of its own then.  It is killed in the end, which spares it the closing
of thousands of connections; and Wine's server dies of an assertion (``set_fd_events``) when a
process is killed whose overlapped receives wait, and with it whatever else it serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psutil

from . import machine
from .processes import Session, generator
from .subjects import LOOPS, OURS, RAW, RUN, STOCK, started, subjects, takes_part
from .table import Figure, Table
from .works import IDLE, MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .processes import Child
    from .works import Work

FEW: Final = 50
TIME: Final = Figure("time per receive", "µs")


def memory(folder: Path, raw: Path, work: Work, connections: int) -> Table:
    """Compare a process with few idle connections and the same with many, which did a work."""
    title = f"{connections:,} connections, {work.title}; a receive waits on each"
    table = Table(work.key, title, MEMORY)
    for name in (STOCK, OURS, RUN, *LOOPS, RAW):
        if takes_part(name, work.name):
            with machine.windows(folder) as where:
                those = [subject for subject in subjects(where, raw) if subject.name == name]
                with started(those) as children:
                    many = replace(work, connections=connections)
                    grown = _grown(children[name], many, where.server)
            table.add(name, grown / (connections - FEW) / 1024)
    return table


def _grown(child: Child, work: Work, server: int | None) -> int:
    """Return by how many bytes a process has grown with its connections."""
    process = psutil.Process(child.pid)
    session = Session(child, replace(IDLE, connections=FEW), server)
    before: int = process.memory_info().rss
    session.finish()
    session = Session(child, work, server)
    if work.load != IDLE.load:
        session.round(1, work.connections)
    after: int = process.memory_info().rss
    session.finish(abandon=True)
    return after - before


def cancel(children: Mapping[str, Child], connections: int, rounds: int) -> Table:
    """Cancel as many receives as there are connections; the subjects measure it themselves."""
    table = Table(f"cancel-{connections}", f"cancel {connections:,} receives that wait", TIME)
    generators = {}
    for name, child in children.items():
        generators[name] = generator("idle", connections)
        (port,) = generators[name].expect("port")
        child.tell(f"cancel {port:.0f} {connections}")
        generators[name].expect("connected")
    for turn in range(rounds + 1):
        for name, child in children.items():
            child.tell("again")
            (seconds,) = child.expect("seconds")
            if turn:  # the first is for warming up
                table.add(name, 1e6 * seconds / connections)
    for name, child in children.items():
        child.tell("enough")
        generators[name].finish()
        child.answer("done")
    return table
