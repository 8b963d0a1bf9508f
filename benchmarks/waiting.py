"""Many connections on which a receive waits: the memory of each, and the time to cancel them.

The memory is measured before anything was received, or after a burst.  A process is compared with
itself when it had a few connections, never received on.  So what a burst leaves behind for all
connections together counts, too.

Every process has a machine of its own then, and is killed at the end, which avoids closing
thousands of connections.  Wine's server dies of an assertion (``set_fd_events``) when a process is
killed while overlapped receives wait, and with it every other process of that machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil

from . import machine
from .processes import Child
from .rounds import Session
from .subjects import started, subjects, takes_part
from .table import LOOPS, OURS, RAW, RUN, STOCK, Figure, Table
from .works import IDLE, MEMORY, Work

FEW: Final = 50
TIME: Final = Figure("time per receive", "µs")


def memory(folder: Path, raw: Path, work: Work, connections: int) -> Table:
    """Compare a process with few idle connections and the same with many that did a work."""
    title = f"{connections:,} connections, {work.title}; a receive waits on each"
    table = Table(work.key, title, MEMORY)
    for name in (STOCK, OURS, RUN, *LOOPS, RAW):
        if takes_part(name, work.name):
            with machine.windows(folder) as own:
                chosen = [subject for subject in subjects(own, raw) if subject.name == name]
                with started(chosen) as children:
                    many = replace(work, connections=connections)
                    growth = _growth(children[name], many, own.server)
            table.add(name, growth / (connections - FEW) / 1024)
    return table


def _growth(child: Child, work: Work, server: int | None) -> int:
    """Return by how many bytes a process grows with its connections."""
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
    """Cancel a receive on each connection; the subjects measure the time themselves."""
    table = Table(f"cancel-{connections}", f"cancel {connections:,} receives that wait", TIME)
    work = replace(IDLE, name="cancel", connections=connections)
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
