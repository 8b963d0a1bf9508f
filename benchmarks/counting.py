"""The counts of `benchmarks.calls`, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .machine import Machine
from .names import OURS, RUN, STOCK
from .subjects import start_python
from .table import Figure, Table

SCRIPT: Final = Path(__file__).with_name("calls.py")
PER: Final = "per receive"
CALLS: Final = {
    "python": Figure("calls of Python functions", PER),
    "native": Figure("calls of C functions", PER),
    "system": Figure("system calls", PER),
}
POSTED: Final = {"system": CALLS["system"], "posted": Figure("bytes posted", PER)}
MODES: Final = {
    "waiting": ("a receive that has to wait", CALLS),
    "inline": ("a receive whose data is there", CALLS),
    "burst": ("a 64-byte message after a burst of 2 MiB", POSTED),
}


def measure(machine: Machine, receives: int) -> Iterator[Table]:
    """Count for stock Trio, for this package, and for Trio under ``run``."""
    for mode, (title, figures) in MODES.items():
        tables = {key: Table(f"calls-{mode}-{key}", title, figures[key]) for key in figures}
        for name, kind, run in ((STOCK, STOCK, False), (OURS, OURS, False), (RUN, STOCK, True)):
            child = start_python(machine, SCRIPT, kind, mode, str(receives), run=run)
            counts = json.loads(child.answer("calls"))
            child.finish()
            for key, table in tables.items():
                table.add(name, counts.get(key, 0))
        yield from tables.values()
