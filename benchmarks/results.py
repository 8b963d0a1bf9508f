"""The file of results, in JSON Lines: one line for each row, with all runs in it.

The first line is a list of what was measured, one text for each run.  A table begins with an
object.  Each of its rows is a list: the subject, and for each run a list of median, least, most,
ratio, and what limited the figure, if anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from .table import Figure, Row, Table

#: Where the results and the plots of the documentation are.
OUTPUT: Final = Path(__file__).parents[1] / "docs" / "benchmarks"
RESULTS: Final = "results.jsonl"


@dataclass
class Result:
    """A table of the file; its rows have a `Row` for each run."""

    key: str
    title: str
    figure: Figure
    base: str
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def first(self) -> dict[str, Row]:
        """Return the rows of the first run."""
        return {name: rows[0] for name, rows in self.rows.items()}


@dataclass
class Results:
    """What was measured in each run, and the tables by key."""

    about: list[str] = field(default_factory=list)
    tables: dict[str, Result] = field(default_factory=dict)

    def add(self, about: str, tables: Iterable[Table]) -> None:
        """Add another run of the same tables."""
        self.about.append(about)
        for table in tables:
            new = Result(table.key, table.title, table.figure, table.base)
            rows = self.tables.setdefault(table.key, new).rows
            for name in table.rows:
                rows.setdefault(name, []).append(table.row(name))

    def write(self, folder: Path) -> None:
        lines: list[Any] = [self.about]
        for table in self.tables.values():
            header = asdict(table)
            del header["rows"]
            lines.append(header)
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
            table = results.tables[line["key"]] = Result(**line, figure=figure)
        else:
            name, *rows = line
            table.rows[name] = [Row(*row) for row in rows]
    return results
