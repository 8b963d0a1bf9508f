"""All results on one page: our figure of each table, divided by those of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from .subjects import LOOPS, OURS, RAW, RUN, SOCKET, STOCK, STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .growth import Growth
    from .table import Table

#: Where the results go.
OUTPUT: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"

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
    cells.append(f"{table.median(OURS):,.4g}")
    for subject, names in [*((OURS, names) for names in AGAINST.values()), (RUN, [STOCK])]:
        best = table.best(names)
        known = best is not None and subject in table.rows
        cells.append(f"{table.ratio(subject, best):.2f}" if known and best else "–")
    return tuple(cells)


def as_text(tables: Sequence[Table]) -> list[str]:
    """Return the page for a terminal, with short names of the tables."""
    result = [f"  {'':36}" + "".join(f"{name:>14}" for name in HEADER[1:])]
    for table in tables:
        _, *cells = row(table)
        result.append(f"  {table.key:34} {arrow(table)}" + "".join(f"{cell:>14}" for cell in cells))
    return [*result, ""]


def as_rst(about: str, tables: Sequence[Table], growths: Sequence[Growth]) -> str:
    """Return the page for the documentation."""
    lines = [".. Written by tests/bench.", "", f"{about}.", ""]
    lines += list_table(HEADER, map(row, tables))
    for growth in growths:
        header = (growth.axis.capitalize(), *growth.subjects)
        rows = [
            (f"{amount:,}", *(f"{table.median(name):,.0f}" for name in growth.subjects))
            for amount, table in growth.points.items()
        ]
        lines += ["", f"{growth.title.capitalize()}; {growth.figure}:", ""]
        lines += list_table(header, rows)
    return "\n".join(lines) + "\n"


def list_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table for the documentation."""
    lines = [".. list-table::", "   :header-rows: 1", "   :class: figures", ""]
    for cells in (header, *rows):
        first, *rest = cells
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return lines
