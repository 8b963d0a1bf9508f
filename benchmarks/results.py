"""The results: a table for each figure of a work, with a row for each subject; and their file.

The file is in JSON Lines.  The first line is a list of what was measured, one text for each run.  A
table begins with an object.  Each of its rows is a list: the subject, and for each run a list of
median, least, most, ratio, and what limited the figure, if anything.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

#: Where the results and the plots of the documentation are.
OUTPUT: Final = Path(__file__).parents[1] / "docs" / "benchmarks"
RESULTS: Final = "results.jsonl"

STOCK: Final = "trio"
SOCKET: Final = "trio.socket, recv_into"
OURS: Final = "trio_wsarecv"
RUN: Final = "trio_wsarecv run"
RAW: Final = "raw C"

MARK: Final = "*"  # of a figure that something other than the subject has limited


def significant(value: float) -> float:
    """Return a figure with three digits, or with all if it is a small whole number (a count)."""
    exact = value == int(value) and value < 10_000
    rounded = value if exact else float(f"{value:.3g}")
    return int(rounded) if rounded == int(rounded) else rounded


def digits(value: float) -> str:
    return f"{significant(value):,}"


class Figure(NamedTuple):
    """What is measured."""

    title: str
    unit: str
    more_is_better: bool = False


class Row(NamedTuple):
    """What is kept of the rounds of a subject."""

    median: float
    least: float
    most: float
    ratio: float | None = None  # the median of the ratios to the base, one for each round
    limit: str = ""  # what limited the figure, if not the subject itself

    @property
    def text(self) -> str:
        return f"{digits(self.median)}{MARK if self.limit else ''}"


@dataclass
class Table:
    """One figure of several subjects, measured in alternating rounds."""

    key: str
    title: str
    figure: Figure
    base: str = STOCK  # the subject that the others are compared with
    rows: dict[str, list[Row]] = field(default_factory=dict)  # of all runs
    samples: dict[str, list[float]] = field(default_factory=dict)  # of the rounds of this run
    limits: dict[str, str] = field(default_factory=dict)  # what limited a subject in this run

    @property
    def heading(self) -> str:
        arrow = "↑" if self.figure.more_is_better else "↓"
        return f"{arrow} {self.title}: {self.figure.title}, {self.figure.unit}"

    def add(self, subject: str, *figures: float) -> None:
        self.samples.setdefault(subject, []).extend(figures)

    def first(self) -> dict[str, Row]:
        """Return the rows of the first run."""
        return {name: rows[0] for name, rows in self.rows.items()}

    def ratios(self, subject: str) -> list[float]:
        """Return the ratios of a subject's figures to those of the base, in ascending order."""
        pairs = zip(self.samples[subject], self.samples.get(self.base, ()), strict=False)
        return sorted(one / other for one, other in pairs if other)

    def row(self, subject: str) -> Row:
        """Return what is kept of the rounds of this run."""
        figures, ratios = self.samples[subject], self.ratios(subject)
        ratio = significant(statistics.median(ratios)) if ratios else None
        figures = [statistics.median(figures), min(figures), max(figures)]
        median, least, most = map(significant, figures)
        return Row(median, least, most, ratio, self.limits.get(subject, ""))

    def lines(self) -> list[str]:
        """Return the table of this run as text."""
        lines = [self.heading]
        for name in self.samples:
            row, ratio = self.row(name), ""
            spread = f"{digits(row.least)} – {digits(row.most)}"
            if ratios := self.ratios(name):
                half = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]  # the middle half
                ratio = f"× {statistics.median(ratios):.3f} ({half[0]:.3f} – {half[1]:.3f})"
            lines.append(f"  {name:46}{row.text:>10}  {spread:>19}  {ratio}  {row.limit}")
        return lines


@dataclass
class Results:
    """What was measured in each run, and the tables by key."""

    about: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)

    def add(self, table: Table) -> None:
        """Add a table of this run to that of the runs before."""
        known = self.tables.setdefault(table.key, table)
        for name in table.samples:
            known.rows.setdefault(name, []).append(table.row(name))

    def write(self, folder: Path) -> None:
        lines: list[Any] = [self.about]
        for table in self.tables.values():
            lines.append({key: getattr(table, key) for key in ("key", "title", "figure", "base")})
            for name, rows in table.rows.items():
                lines.append([name, *([part for part in row if part != ""] for row in rows)])
        text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        (folder / RESULTS).write_text(f"{text}\n", "utf-8")


def read(folder: Path) -> Results:
    lines = map(json.loads, (folder / RESULTS).read_text("utf-8").splitlines())
    results = Results(next(lines))
    for line in lines:
        if isinstance(line, dict):
            figure = Figure(*line.pop("figure"))
            table = results.tables[line["key"]] = Table(**line, figure=figure)
        else:
            name, *rows = line
            table.rows[name] = [Row(*row) for row in rows]
    return results
