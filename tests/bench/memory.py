"""How much memory an idle connection occupies, a receive of it waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .meter import resident_bytes
from .processes import Session, started
from .table import Table
from .works import IDLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEW = 50


def measure(
    load: Sequence[str],
    commands: Mapping[str, Sequence[str]],
    environ: Mapping[str, str],
    server: int | None,
    connections: int,
    rounds: int,
) -> Table:
    """Compare a process with few connections and the same with many, a new process each time."""
    table = Table(
        key="idle",
        title=f"{connections:,} idle connections, a receive waiting on each",
        figure="resident memory of the process, per connection",
        unit="KiB",
        more_is_better=False,
    )
    for _ in range(rounds):
        for name, command in commands.items():
            with started({name: command}, environ) as children:
                child = children[name]
                session = Session(load, child, IDLE.with_connections(FEW), server)
                before = resident_bytes(child.pid)
                session.finish()
                session = Session(load, child, IDLE.with_connections(connections), server)
                grown = (resident_bytes(child.pid) - before) / (connections - FEW)
                session.abandon()
            table.rows.setdefault(name, []).append(grown / 1024)
    return table
