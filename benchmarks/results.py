"""The file of results: one line for each row, with all runs in it.

What there is to say of each run comes first.  A table begins with its key, title, figure, unit,
whether more or less is better, and its base, between tabulators.  A row has the subject, and for
each run ``MEDIAN (LEAST..MOST) ×RATIO *LIMIT``; all but the median may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .table import MARK, Figure, Row, digits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .table import Table

#: Where the results go, and what the documentation has of them.
OUTPUT: Final = Path(__file__).parents[1] / "docs" / "benchmarks"
RESULTS: Final = "results.tsv"

NONE: Final = "–"
CELL: Final = re.compile(r"(\S+)(?: \((\S+)\.\.(\S+)\))?(?: ×(\S+))?(?: \*(.*))?")


@dataclass
class Result:
    """A table of the file; its rows have a `Row` for each run, or None."""

    key: str
    title: str
    figure: Figure
    base: str
    rows: dict[str, list[Row | None]] = field(default_factory=dict)

    def first(self) -> dict[str, Row]:
        """Return the rows of the first run."""
        return {name: rows[0] for name, rows in self.rows.items() if rows[0]}


@dataclass
class Results:
    """What there is to say of each run, and the tables by key."""

    about: list[str] = field(default_factory=list)
    tables: dict[str, Result] = field(default_factory=dict)

    def add(self, about: str, tables: Iterable[Table]) -> None:
        """Add another run."""
        before = len(self.about)
        self.about.append(about)
        for table in tables:
            new = Result(table.key, table.title, table.figure, table.base)
            rows = self.tables.setdefault(table.key, new).rows
            for name in table.rows:
                rows.setdefault(name, [None] * before).append(table.row(name))
        for result in self.tables.values():
            for cells in result.rows.values():
                cells += [None] * (len(self.about) - len(cells))

    def write(self, folder: Path) -> None:
        lines = self.about.copy()
        for table in self.tables.values():
            title, unit, more = table.figure
            better = "more" if more else "less"
            lines += ["", "\t".join((table.key, table.title, title, unit, better, table.base))]
            for name, rows in table.rows.items():
                lines.append("\t".join((name, *map(_cell, rows))))
        (folder / RESULTS).write_text("\n".join(lines) + "\n", "utf-8")


def read(folder: Path) -> Results:
    about, *tables = (folder / RESULTS).read_text("utf-8").rstrip("\n").split("\n\n")
    results = Results(about.splitlines())
    for header, *lines in map(str.splitlines, tables):
        key, title, figure, unit, better, base = header.split("\t")
        table = Result(key, title, Figure(figure, unit, better == "more"), base)
        for name, *cells in (line.split("\t") for line in lines):
            table.rows[name] = list(map(_row, cells))
        results.tables[key] = table
    return results


def _cell(row: Row | None) -> str:
    if row is None:
        return NONE
    spread = f" ({digits(row.least)}..{digits(row.most)})" if row.least != row.most else ""
    ratio = "" if row.ratio is None else f" ×{digits(row.ratio)}"
    limit = f" {MARK}{row.limit}" if row.limit else ""
    return f"{digits(row.median)}{spread}{ratio}{limit}"


def _row(cell: str) -> Row | None:
    found = CELL.fullmatch(cell)
    if not found or cell == NONE:
        return None
    median, *others = (
        float(text.replace(",", "")) if text else None for text in found.groups()[:4]
    )
    assert median is not None
    least, most, ratio = others
    return Row(median, least or median, most or median, ratio, found[5] or "")
