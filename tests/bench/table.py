"""Results: a table for each work, with a row for each subject."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from .subjects import STOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK: Final = "*"
DIGITS: Final = 3


def digits(value: float) -> str:
    """Return a figure with as many digits as say something."""
    return f"{float(f'{value:.{DIGITS}g}'):,.12g}"


class Figure(NamedTuple):
    """What is measured.

    Attributes:
      title: what it is, for people.
      unit: its unit.
      more_is_better: whether a larger one is better.
    """

    title: str
    unit: str
    more_is_better: bool = False

    @property
    def arrow(self) -> str:
        return "↑" if self.more_is_better else "↓"


class Row(NamedTuple):
    """What is kept of the rounds of a subject.

    Attributes:
      median: the median of its figures.
      least: the least of them.
      most: the greatest of them.
      ratio: how many times that of the base it is: the median over the rounds, if there is a base.
      limit: what else than the subject itself has limited its figures, if anything has.
    """

    median: float
    least: float
    most: float
    ratio: float | None = None
    limit: str = ""

    @property
    def text(self) -> str:
        """The median, marked if something else has limited it."""
        return f"{digits(self.median)}{MARK if self.limit else ''}"


@dataclass
class Table:
    """One figure of several subjects, measured in alternating rounds.

    Attributes:
      key: the table's name.
      title: what was done.
      figure: what was measured.
      base: the subject whose figures those of the others are divided by.
      rows: for each subject, its figure in each round.
      limits: for a subject, what else than itself has limited its figures.
    """

    key: str
    title: str
    figure: Figure
    base: str = STOCK
    rows: dict[str, list[float]] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)

    def add(self, subject: str, *figures: float) -> None:
        self.rows.setdefault(subject, []).extend(figures)

    def ratios(self, subject: str, base: str) -> Sequence[float]:
        """Return how many times the base's figure the subject's is, in each round."""
        return [
            one / other
            for one, other in zip(self.rows[subject], self.rows.get(base, ()), strict=False)
            if other
        ]

    def row(self, subject: str) -> Row:
        figures, ratios = self.rows[subject], self.ratios(subject, self.base)
        return Row(
            statistics.median(figures),
            min(figures),
            max(figures),
            statistics.median(ratios) if ratios else None,
            self.limits.get(subject, ""),
        )

    def lines(self) -> list[str]:
        """Return the table as text."""
        better = "more" if self.figure.more_is_better else "less"
        width = max(map(len, self.rows))
        lines = [f"{self.key}: {self.title}; {self.figure.title}, {self.figure.unit} ({better})"]
        for name in self.rows:
            row = self.row(name)
            ratio = "" if row.ratio is None else f"× {row.ratio:.2f}"
            spread = f"{digits(row.least)} – {digits(row.most)}"
            lines.append(f"  {name:{width}}  {row.text:>10}  {spread:>19}  {ratio}  {row.limit}")
        return lines
