"""The file of results: one line for each row, with all runs in it.

A table begins with its key, title, figure, unit, whether more or less is better, and its base,
separated by tabulators.  A row has the subject, and for each run
``MEDIAN (LEAST..MOST) ×RATIO *LIMIT``, where all but the median may be missing.  What a line that
begins with ``#`` says of a run comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .table import DIGITS, MARK, Figure, Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .table import Table

#: Where the results go, and what the documentation has of them.
OUTPUT: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
RESULTS: Final = "results.tsv"

NONE: Final = "–"
CELL: Final = re.compile(r"(\S+)(?: \((\S+)\.\.(\S+)\))?(?: ×(\S+))?(?: \*(.*))?")


@dataclass
class Result:
    """A table of the file; its rows have one `Row` for each run, or None."""

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
    """What the file has.

    Attributes:
      about: what there is to say of each run.
      tables: by key.
    """

    about: list[str] = field(default_factory=list)
    tables: dict[str, Result] = field(default_factory=dict)

    def add(self, about: str, tables: Iterable[Table]) -> None:
        """Add another run."""
        before = len(self.about)
        self.about.append(about)
        for table in tables:
            new = Result(table.key, table.title, table.figure, table.base)
            result = self.tables.setdefault(table.key, new)
            for name in table.rows:
                result.rows.setdefault(name, [None] * before).append(table.row(name))
        for result in self.tables.values():
            for rows in result.rows.values():
                rows += [None] * (len(self.about) - len(rows))

    def write(self, folder: Path) -> None:
        lines = [f"# {text}" for text in self.about]
        for table in self.tables.values():
            title, unit, more = table.figure
            better = "more" if more else "less"
            lines.append("")
            lines.append("\t".join((table.key, table.title, title, unit, better, table.base)))
            for name, rows in table.rows.items():
                lines.append("\t".join((name, *(_cell(row) if row else NONE for row in rows))))
        (folder / RESULTS).write_text("\n".join(lines) + "\n", "utf-8")


def _plain(value: float) -> str:
    return f"{float(f'{value:.{DIGITS}g}'):.12g}"


def _cell(row: Row) -> str:
    parts = [_plain(row.median)]
    if row.least != row.most:
        parts.append(f"({_plain(row.least)}..{_plain(row.most)})")
    if row.ratio is not None:
        parts.append(f"×{_plain(row.ratio)}")
    if row.limit:
        parts.append(f"{MARK}{row.limit}")
    return " ".join(parts)


def _row(cell: str) -> Row | None:
    if cell == NONE:
        return None
    found = CELL.fullmatch(cell)
    assert found, cell
    median, least, most, ratio, limit = found.groups()
    return Row(
        float(median),
        float(least or median),
        float(most or median),
        float(ratio) if ratio else None,
        limit or "",
    )


def read(folder: Path) -> Results:
    results = Results()
    about, *tables = (folder / RESULTS).read_text("utf-8").rstrip("\n").split("\n\n")
    results.about = [line.removeprefix("# ") for line in about.splitlines()]
    for text in tables:
        header, *lines = text.splitlines()
        key, title, figure, unit, better, base = header.split("\t")
        table = Result(key, title, Figure(figure, unit, better == "more"), base)
        for line in lines:
            name, *cells = line.split("\t")
            table.rows[name] = [_row(cell) for cell in cells]
        results.tables[key] = table
    return results
