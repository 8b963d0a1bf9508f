"""Results: a table for each work, with a row for each subject."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

STOCK: Final = "trio"
MARK: Final = "*"  # of what something else than the subject has limited


def digits(value: float) -> str:
    """Return a figure with as many digits as say something."""
    exact = value == int(value) and value < 10_000  # as counts are
    return f"{value if exact else float(f'{value:.3g}'):,.12g}"


class Figure(NamedTuple):
    """What is measured."""

    title: str
    unit: str
    more_is_better: bool = False

    @property
    def arrow(self) -> str:
        return "↑" if self.more_is_better else "↓"


class Row(NamedTuple):
    """What is kept of the rounds of a subject."""

    median: float
    least: float
    most: float
    ratio: float | None = None  # the median of those to the base, one in each round
    limit: str = ""  # what else than the subject itself has limited it

    @property
    def text(self) -> str:
        return f"{digits(self.median)}{MARK if self.limit else ''}"


@dataclass
class Table:
    """One figure of several subjects, measured in alternating rounds."""

    key: str
    title: str
    figure: Figure
    base: str = STOCK  # the subject whose figures those of the others are divided by
    rows: dict[str, list[float]] = field(default_factory=dict)  # each figure of a subject
    limits: dict[str, str] = field(default_factory=dict)  # what has limited a subject

    def add(self, subject: str, *figures: float) -> None:
        self.rows.setdefault(subject, []).extend(figures)

    def ratios(self, subject: str, base: str) -> Sequence[float]:
        """Return how many times the base's figure the subject's is, in each round."""
        pairs = zip(self.rows[subject], self.rows.get(base, ()), strict=False)
        return [one / other for one, other in pairs if other]

    def row(self, subject: str) -> Row:
        figures, ratios = self.rows[subject], self.ratios(subject, self.base)
        ratio = statistics.median(ratios) if ratios else None
        limit = self.limits.get(subject, "")
        return Row(statistics.median(figures), min(figures), max(figures), ratio, limit)

    def lines(self) -> list[str]:
        """Return the table as text."""
        lines = [f"{self.figure.arrow} {self.title}: {self.figure.title}, {self.figure.unit}"]
        for name, row in ((name, self.row(name)) for name in self.rows):
            ratio = "" if row.ratio is None else f"× {row.ratio:.2f}"
            spread = f"{digits(row.least)} – {digits(row.most)}"
            lines.append(f"  {name:46}{row.text:>10}  {spread:>19}  {ratio}  {row.limit}")
        return lines
