"""That the load generator is no bottleneck: the same work done by a plain native receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .processes import Child, ProcessError, Sample
from .subjects import OURS
from .works import MIB

if TYPE_CHECKING:
    from .build import Binaries
    from .machine import Machine
    from .table import Table
    from .works import Work

SECONDS = 0.2
SAMPLES = 3  # of which the best counts


def headroom(machine: Machine, binaries: Binaries, work: Work, table: Table) -> None:
    """Note how much more the generator can do than the subjects took from it."""
    if work.rate:
        return
    native = max(work.value(_sample(machine, binaries, work)) for _ in range(SAMPLES))
    best = max(map(table.median, table.rows))
    ours = table.median(OURS)
    table.notes.append(
        f"generator: {native:,.0f} {work.figure.unit} with a native receiver that drops it all, "
        f"{native / best:.1f} × the fastest here, {native / ours:.1f} × {OURS}"
    )


def _sample(machine: Machine, binaries: Binaries, work: Work) -> Sample:
    generator = Child([str(binaries.load), work.load, str(work.connections)])
    (port,) = generator.expect("port")
    answer_each = 0 if work.load == "echo" else round(work.unit * MIB)
    sink = [str(binaries.sink), f"{port:.0f}", str(work.connections), str(answer_each)]
    receiver = Child([*machine.receiver_launcher, *sink])
    generator.expect("connected")
    count, seconds, spent = 1, 0.0, 0.0
    while seconds < SECONDS:
        count *= 4
        generator.tell(str(count))
        seconds, spent = generator.expect("round")
        if count > 1 << 40:
            raise ProcessError("the generator's clock stands still")
    generator.finish()
    receiver.finish()
    return Sample(count * work.unit, seconds, 0, spent)
