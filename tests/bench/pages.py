"""What the documentation includes of the results, written from their file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .results import NONE
from .subjects import LOOPS, OURS, RAW, RUN, SOCKET, STOCK, STOCK_DATAGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .results import Result, Results
    from .table import Row

#: Whom we are compared with.
AGAINST: Final = {
    "Trio": STOCK,
    "recv_into": SOCKET,
    **{loop: loop for loop in LOOPS},
    "raw C": RAW,
}
#: What the columns of a page on web servers are called, by how a table's key ends.
WEB: Final = {
    "paced": "↓ µs per request, moderate load",
    "busy": "↑ requests/s, full load",
    "busy-processor": "↓ µs per request, full load",
}


def list_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["", ".. list-table::", "   :header-rows: 1", "   :class: figures", ""]
    for first, *rest in (header, *rows):
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return lines


def _title(table: Result) -> str:
    return f"{table.figure.arrow} {table.title}: {table.figure.title}, {table.figure.unit}"


def _text(row: Row | None) -> str:
    return row.text.replace("*", "\\*") if row else NONE


def _ratio(one: Row | None, other: Row | None) -> str:
    """Return how many times the other the one is, by way of their common base."""
    if not one or not other or not one.ratio or not other.ratio:
        return NONE
    return f"{one.ratio / other.ratio:.2f}"


def summary(tables: Sequence[Result]) -> list[str]:
    """Return our figure of each table, compared with those of the others."""
    header = ("Work (↑ more is better, ↓ less)", OURS, *(f"÷ {name}" for name in AGAINST))
    rows = []
    for table in tables:
        first = table.first()
        ours, run = first.get(OURS), first.get(RUN)
        ratios = [_ratio(ours, first.get(name)) for name in AGAINST.values()]
        rows.append((_title(table), _text(ours), *ratios, _text(run), _ratio(run, first[STOCK])))
    return list_table((*header, "run", "run ÷ Trio"), rows)


def datagrams(tables: Sequence[Result]) -> list[str]:
    """Return stock Trio's figure of each table, and those of all others divided by it."""
    names = list(tables[0].first()) if tables else []
    rows = [
        (
            _title(table),
            *(
                f"{row.ratio:.2f}" if row.ratio and name != STOCK_DATAGRAMS else _text(row)
                for name, row in table.first().items()
            ),
        )
        for table in tables
    ]
    header = (name if name == STOCK_DATAGRAMS else f"÷: {name}" for name in names)
    return list_table(("Work", *header), rows)


def web(results: Results, scheme: str) -> list[str]:
    tables = {end: results.tables.get(f"{scheme}-{end}") for end in WEB}
    there = {end: table.first() for end, table in tables.items() if table}
    rows = [
        (
            name,
            *(f"{_text(rows[name])} ({rows[name].ratio or 1:.2f})" for rows in there.values()),
        )
        for name in next(iter(there.values()), {})
    ]
    return list_table((f"Server, {scheme.upper()}", *(WEB[end] for end in there)), rows)


def columns(title: str, tables: Sequence[tuple[str, Result]], digits: str) -> list[str]:
    """Return tables as columns of one, without the rows that are nearly nothing in all of them."""
    firsts = [table.first() for _, table in tables]
    rows = [
        (name, *(digits.format(first[name].median) if name in first else NONE for first in firsts))
        for name in dict.fromkeys(name for first in firsts for name in first)
        if any(first[name].median >= 0.5 for first in firsts if name in first)
    ]
    return list_table((title, *(name for name, _ in tables)), rows)


def write(results: Results, folder: Path) -> None:
    """Write all pages whose tables there are."""
    tables = results.tables
    about = f"{results.about[0]}."

    def starting(prefix: str) -> list[tuple[str, Result]]:
        return [(k.removeprefix(prefix), t) for k, t in tables.items() if k.startswith(prefix)]

    def save(name: str, *parts: list[str]) -> None:
        if any(parts):
            lines = [".. Written by tests/bench.", *(line for part in parts for line in part)]
            (folder / f"{name}.inc").write_text("\n".join(lines) + "\n", "utf-8")

    packets = [table for key, table in starting("datagrams")]
    streams = [
        table
        for key, table in tables.items()
        if OURS in table.rows and not key.startswith(("own-", "datagrams"))
    ]
    limits = [
        f"\n| \\* {table.title}, {name}: {row.limit}"
        for table in (*streams, *packets)
        for name, row in table.first().items()
        if row.limit
    ]
    save("summary", ["", about], summary(streams), datagrams(packets), limits)
    if starting("http"):
        save("http", ["", about], *(web(results, scheme) for scheme in ("http", "https")))
    where = [(key, table) for key, table in starting("where-") if not key.startswith("http")]
    save("where", columns("Share of the time", where, "{:.0f}%"))
    inside = starting("where-http-")
    save(
        "http-where",
        columns(
            "Share of Hypercorn's time",
            [each for each in inside if each[0] in ("Trio", "run")],
            "{:.0f}%",
        ),
        columns(
            "For each request",
            [(key.partition("-")[0], table) for key, table in inside if "-" in key],
            "{:,.1f}",
        ),
    )
    own = [
        (
            table.title,
            _text(first.get(STOCK)),
            _text(ours := first.get(OURS)),
            _ratio(ours, first.get(STOCK)),
        )
        for _, table in starting("own-")
        if (first := table.first())
    ]
    save("own", list_table(("µs per call", STOCK, OURS, "÷ Trio"), own))
    if cores := starting("cores"):
        requests, processor, workers, client = (table.first() for _, table in cores)
        rows = [
            (
                *(name, _text(requests[name]), f"{requests[name].ratio or 1:.2f} ×"),
                *(_text(each[name]) for each in (processor, workers, client)),
            )
            for name in requests
        ]
        header = ("", "Requests per second", "Of one", "µs each", "Processors, workers", "client")
        save("cores", list_table(header, rows))
