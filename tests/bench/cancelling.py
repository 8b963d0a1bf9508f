"""How long it takes to cancel many receives that wait, measured by the subject itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .processes import generator
from .table import Figure, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .processes import Child

TIME: Final = Figure("time per receive", "µs")


def measure(children: Mapping[str, Child], connections: int, rounds: int) -> Table:
    """Cancel as many receives as there are connections, again and again."""
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
