"""Results: a table for each work, with a row for each subject."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .subjects import STOCK

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Table:
    """One figure of several subjects, measured in alternating rounds.

    Attributes:
      key: the table's name in file names.
      title: what was done.
      figure: what was measured.
      unit: in which unit.
      more_is_better: whether a larger figure is better.
      rows: for each subject, its figure in each round.
      notes: what else there is to say.
      base: the subject whose figures those of the others are divided by.
    """

    key: str
    title: str
    figure: str
    unit: str
    more_is_better: bool
    rows: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    base: str = STOCK

    def median(self, subject: str) -> float:
        return statistics.median(self.rows[subject])

    def ratio(self, subject: str, base: str) -> float:
        """Return how many times the base's figure the subject's is: the median over the rounds."""
        pairs = zip(self.rows[subject], self.rows[base], strict=True)
        return statistics.median(one / other for one, other in pairs)

    def best(self, subjects: Sequence[str]) -> str | None:
        """Return the best of those of the subjects that are in the table."""
        present = [subject for subject in subjects if subject in self.rows]
        choose = max if self.more_is_better else min
        return choose(present, key=self.median) if present else None

    def lines(self) -> list[str]:
        """Return the table as text."""
        better = "more" if self.more_is_better else "less"
        width = max(map(len, self.rows))
        result = [f"{self.title}: {self.figure}, {self.unit} ({better} is better)"]
        result.append(f"  {'':{width}}  {'median':>10}  {'spread':>19}  {f'÷ {self.base}':>7}")
        for name, values in self.rows.items():
            spread = f"{min(values):,.4g} – {max(values):,.4g}"
            ratio = f"{self.ratio(name, self.base):.2f}" if self.base in self.rows else ""
            result.append(
                f"  {name:{width}}  {self.median(name):>10,.4g}  {spread:>19}  {ratio:>7}"
            )
        return [*result, *(f"  {note}" for note in self.notes), ""]

    def as_json(self) -> dict[str, Any]:
        """Return the table as what the JSON file has of it."""
        rows = {
            name: {
                "median": self.median(name),
                "minimum": min(values),
                "maximum": max(values),
                f"ratio to {self.base}": self.ratio(name, self.base)
                if self.base in self.rows
                else None,
                "rounds": values,
            }
            for name, values in self.rows.items()
        }
        return {
            "title": self.title,
            "figure": self.figure,
            "unit": self.unit,
            "more is better": self.more_is_better,
            "rows": rows,
            "notes": self.notes,
        }
