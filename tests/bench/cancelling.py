"""How long it takes to cancel many receives that wait, measured by the subject itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .processes import Child
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def measure(load: Path, children: Mapping[str, Child], connections: int, rounds: int) -> Table:
    """Cancel as many receives as there are connections, again and again."""
    table = Table(
        key=f"cancel-{connections}",
        title=f"cancel {connections:,} receives that wait",
        figure="time per receive",
        unit="µs",
        more_is_better=False,
    )
    generators = {name: _connect(load, child, connections) for name, child in children.items()}
    for turn in range(rounds + 1):
        for name, child in children.items():
            child.tell("again")
            (seconds,) = child.expect("seconds")
            if turn:  # the first is for warming up
                table.rows.setdefault(name, []).append(1e6 * seconds / connections)
    for name, child in children.items():
        child.tell("enough")
        generators[name].finish()
        child.expect("receives")
    return table


def _connect(load: Path, child: Child, connections: int) -> Child:
    generator = Child([str(load), "idle", str(connections)])
    (port,) = generator.expect("port")
    child.tell(f"cancel {port:.0f} {connections}")
    generator.expect("connected")
    return generator


def growth(few: Table, many: Table) -> Table:
    """Compare the two: how many times dearer one of many is than one of few."""
    table = Table(
        key="cancel-growth",
        title=f"{many.title}: one of them, compared with the same of few",
        figure="growth of the time per receive",
        unit="times",
        more_is_better=False,
    )
    for name, values in many.rows.items():
        table.rows[name] = [one / other for one, other in zip(values, few.rows[name], strict=True)]
    return table
