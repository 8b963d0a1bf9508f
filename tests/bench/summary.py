"""All results on one page: our figure of each table, divided by those of others.

Where there are several of ours in a table, the page has all subjects: see `by_subject`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .subjects import LOOPS, OURS, RAW, RUN, SOCKET, STOCK, STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .growth import Growth
    from .table import Table

#: Where the results go.
OUTPUT: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
RESULTS: Final = "results.json"

#: Whom we are compared with; of those in a group, with the best.
AGAINST: Final = {
    "Trio": [STOCK],
    "recv_into": [SOCKET],
    **{loop: [f"{loop} {style}" for style in STYLES.values()] for loop in LOOPS},
    "raw C": [RAW],
}
HEADER: Final = (
    "Work (↑ more is better, ↓ less)",
    OURS,
    *(f"÷ {name}" for name in AGAINST),
    "run ÷ Trio",
)


def arrow(table: Table) -> str:
    """Return which figures are better: those above or those below."""
    return "↑" if table.more_is_better else "↓"


def row(table: Table) -> tuple[str, ...]:
    """Return the cells of a table's row."""
    cells = [f"{arrow(table)} {table.title}: {table.figure}, {table.unit}"]
    cells.append(table.cell(OURS))
    for subject, names in [*((OURS, names) for names in AGAINST.values()), (RUN, [STOCK])]:
        best = table.best(names)
        known = best is not None and subject in table.rows
        cells.append(f"{table.ratio(subject, best):.2f}" if known and best else "–")
    return tuple(cells)


def as_text(tables: Sequence[Table]) -> list[str]:
    """Return the page for a terminal, with short names of the tables."""
    result = []
    ours = [table for table in tables if OURS in table.rows]
    if ours:
        result.append(f"  {'':36}" + "".join(f"{name:>14}" for name in HEADER[1:]))
    for table in ours:
        _, *cells = row(table)
        result.append(f"  {table.key:34} {arrow(table)}" + "".join(f"{cell:>14}" for cell in cells))
    result += [f"  {line}" for table in tables for line in table.said()]
    return [*result, ""]


def about_line(about: Mapping[str, Any], versions: str = "versions") -> str:
    """Return what there is to say of a measurement, and of these versions."""
    quick = ", of a quick run" if about["quick"] else ""
    return (
        f"Measured on {about['system']}, {about[versions]}; "
        f"{about['rounds']} alternating rounds{quick}; {about['pinning']}"
    )


def as_rst(about: Mapping[str, Any], tables: Sequence[Table], growths: Sequence[Growth]) -> str:
    """Return the page for the documentation."""
    lines = [".. Written by tests/bench.", "", f"{about_line(about)}."]
    ours = [table for table in tables if OURS in table.rows]
    if ours:
        lines += ["", *list_table(HEADER, map(row, ours))]
    several = [table for table in tables if table not in ours]
    if several:
        lines += ["", "In parentheses: divided by the first row.", "", *by_subject(several)]
    for growth in growths:
        header = (growth.axis.capitalize(), *growth.subjects)
        rows = [
            (f"{amount:,}", *(table.cell(name) for name in growth.subjects))
            for amount, table in growth.points.items()
        ]
        lines += ["", f"{growth.title.capitalize()}; {growth.figure}:", ""]
        lines += list_table(header, rows)
    points = [table for growth in growths for table in growth.points.values()]
    said = [line for table in [*tables, *points] for line in table.said()]
    lines += [f"\n| \\{line}" for line in said]
    return "\n".join(lines) + "\n"


def by_subject(tables: Sequence[Table]) -> list[str]:
    """Return several tables of the same subjects as one, with a row for each of these."""
    header = ("Subject", *(f"{arrow(t)} {t.title}: {t.figure}, {t.unit}" for t in tables))
    rows = [
        (name, *(f"{t.cell(name)} ({t.ratio(name, t.base):.2f})" for t in tables))
        for name in tables[0].rows
    ]
    return list_table(header, rows)


def list_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table for the documentation."""
    lines = [".. list-table::", "   :header-rows: 1", "   :class: figures", ""]
    for cells in (header, *rows):
        first, *rest = cells
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return lines
