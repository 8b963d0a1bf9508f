"""Results: a table for each work, with a row for each subject."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .subjects import STOCK

if TYPE_CHECKING:
    from collections.abc import Sequence


MARK: Final = "*"


def digits(value: float, count: int = 4) -> str:
    """Return a figure with so many digits that say something."""
    return f"{_rounded(value, count):,.12g}"


def _rounded(value: float, count: int) -> float:
    return float(f"{value:.{count}g}")


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
      limits: for a subject, what else than itself has limited its figures, if anything has.
    """

    key: str
    title: str
    figure: str
    unit: str
    more_is_better: bool
    rows: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    base: str = STOCK
    limits: dict[str, str] = field(default_factory=dict)

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

    def add(self, other: Table) -> None:
        """Add the rounds of a table of the same work and the same subjects."""
        for name, figures in other.rows.items():
            self.rows.setdefault(name, []).extend(figures)
        self.limits = other.limits | self.limits

    def cell(self, subject: str) -> str:
        """Return a subject's median, marked if something else has limited it."""
        return f"{digits(self.median(subject))}{MARK if subject in self.limits else ''}"

    def said(self) -> list[str]:
        """Return what there is to say of limits."""
        return [f"{MARK} {self.key}, {name}: {limit}" for name, limit in self.limits.items()]

    def lines(self) -> list[str]:
        """Return the table as text."""
        better = "more" if self.more_is_better else "less"
        width = max(map(len, self.rows))
        ratio_title = f"÷ {self.base}"
        result = [f"{self.title}: {self.figure}, {self.unit} ({better} is better)"]
        result.append(f"  {'':{width}}  {'median':>10}  {'spread':>19}  {ratio_title:>7}")
        for name, values in self.rows.items():
            spread = f"{digits(min(values))} – {digits(max(values))}"
            ratio = f"{self.ratio(name, self.base):.2f}" if self.base in self.rows else ""
            result.append(
                f"  {name:{width}}  {self.cell(name):>10}  {spread:>19}"
                f"  {ratio:>{len(ratio_title)}}"
            )
        return [*result, *(f"  {note}" for note in [*self.said(), *self.notes]), ""]

    def as_json(self) -> dict[str, Any]:
        """Return the table as what the JSON file has of it."""
        rows = {}
        for name, values in self.rows.items():
            rows[name] = {
                "median": self.median(name),
                "minimum": min(values),
                "maximum": max(values),
            }
            if self.base in self.rows:
                rows[name]["ratio"] = self.ratio(name, self.base)
        return {
            "title": self.title,
            "figure": self.figure,
            "unit": self.unit,
            "more is better": self.more_is_better,
            "base": self.base,
            "rows": {
                name: {field: _rounded(value, 5) for field, value in row.items()}
                for name, row in rows.items()
            },
            "limits": self.limits,
            "notes": self.notes,
        }


class Tables(dict[str, Table]):
    """Tables by key; rounds of one that is there already are added to it."""

    def add(self, *new: Table) -> None:
        for table in new:
            if table.key in self:
                self[table.key].add(table)
            else:
                self[table.key] = table
