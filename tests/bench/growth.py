"""How the cost of a message grows: with the number of connections, and with its size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import machine, rounds
from .subjects import started, subjects
from .works import PROCESSOR_PER_MESSAGE, Work, paced

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from .build import Binaries
    from .scale import Scale
    from .table import Table

#: The amounts, by the machine that they share: Wine's server is slow to forget many connections.
CONNECTIONS: Final = ((1, 10, 100), (1000,), (5000,))
SIZES: Final = ((1, 64, 1024, 16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024),)
RATE: Final = 1000  # messages per second
RATE_OF_SIZES: Final = 200  # so that the largest do not fill the machine


@dataclass
class Growth:
    """One figure of several subjects, for more and more of something.

    Attributes:
      key: the name in file names.
      title: what was done.
      axis: what there is more and more of.
      points: a table for each amount of it.
    """

    key: str
    title: str
    axis: str
    points: dict[int, Table] = field(default_factory=dict)

    @property
    def subjects(self) -> list[str]:
        return list(next(iter(self.points.values())).rows)

    @property
    def figure(self) -> str:
        return f"{PROCESSOR_PER_MESSAGE.title}, {PROCESSOR_PER_MESSAGE.unit}"

    def lines(self) -> list[str]:
        """Return the medians as text: a line for each amount."""
        names = self.subjects
        result = [f"{self.title}: {self.figure} (less is better)"]
        result.append(f"  {self.axis:>24}" + "".join(f"{name:>16}" for name in names))
        for amount, table in self.points.items():
            medians = "".join(f"{table.cell(name):>16}" for name in names)
            result.append(f"  {amount:>24,}{medians}")
        said = [f"  {line}" for table in self.points.values() for line in table.said()]
        return [*result, *said, ""]

    def as_json(self) -> dict[str, Any]:
        """Return what the JSON file has of it."""
        points = {str(amount): table.as_json() for amount, table in self.points.items()}
        return {"title": self.title, "axis": self.axis, "points": points}


def _connections(count: int) -> Work:
    return paced(f"connections-{count}", "", count, RATE)


def _size(size: int) -> Work:
    return paced(f"size-{size}", "", 1, RATE_OF_SIZES, size)


def measure(
    folder: Path, binaries: Binaries, names: Collection[str], scale: Scale
) -> Iterator[Growth]:
    """Measure both growths.

    Args:
      folder: the packages that the subjects need.
      binaries: the native programs.
      names: the subjects.
      scale: how much is done.
    """
    connections = Growth(
        "growth-connections",
        f"64-byte messages, {RATE}/s in all, over more and more connections",
        "connections",
    )
    sizes = Growth(
        "growth-size",
        f"larger and larger messages, {RATE_OF_SIZES}/s, over one connection",
        "bytes in a message",
    )
    for growth, work_of, groups in (
        (connections, _connections, CONNECTIONS),
        (sizes, _size, SIZES),
    ):
        for amounts in groups:
            with machine.windows(folder) as where:
                chosen = [each for each in subjects(where, binaries) if each.name in names]
                with started(chosen) as children:
                    for amount in amounts:
                        growth.points[amount], *_ = rounds.measure(
                            binaries.load,
                            children,
                            work_of(amount),
                            where.server,
                            rounds=scale.growth_rounds,
                            seconds=scale.seconds,
                            last=amount == amounts[-1],
                        )
        yield growth
