"""What the documentation includes of the results, written from their file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .results import NONE
from .subjects import LOOPS, OURS, RAW, RUN, SOCKET, STOCK, STOCK_DATAGRAMS
from .web import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from .results import Result, Results
    from .table import Row

#: Whom we are compared with.
AGAINST: Final = {"Trio": STOCK, "recv_into": SOCKET, **{loop: loop for loop in LOOPS}, "C": RAW}
#: What the columns of some pages are called, by the key of their table.
WEB: Final = {
    "paced": "↓ µs per request, moderate load",
    "busy": "↑ requests/s, full load",
    "busy-processor": "↓ µs per request, full load",
}
CORES: Final = {
    "": "Requests per second",
    "-processor": "Processor time each, µs",
    "-workers": "Processors busy with the workers",
    "-client": "with the client",
}


def list_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
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
    if one and other and one.ratio and other.ratio:
        return f"{one.ratio / other.ratio:.2f}"
    return NONE


def summary(tables: Iterable[Result]) -> list[str]:
    """Return our figure of each table, compared with those of the others."""
    header = ("Work (↑ more is better, ↓ less)", OURS, *(f"÷ {name}" for name in AGAINST))
    rows = []
    for table in tables:
        first = table.first()
        ours, run, stock = (first.get(name) for name in (OURS, RUN, STOCK))
        ratios = [_ratio(ours, first.get(name)) for name in AGAINST.values()]
        rows.append((_title(table), _text(ours), *ratios, _text(run), _ratio(run, stock)))
    return list_table((*header, "run", "run ÷ Trio"), rows)


def datagrams(tables: Sequence[Result]) -> list[str]:
    """Return stock Trio's figure of each table, and those of all others divided by it."""
    names = [*dict.fromkeys(name for table in tables for name in table.first())][1:]
    rows = []
    for table in tables:
        stock = table.first()[STOCK_DATAGRAMS]
        ratios = [_ratio(table.first().get(name), stock) for name in names]
        rows.append((_title(table), _text(stock), *ratios))
    return list_table(("Work", STOCK_DATAGRAMS, *(f"÷: {name}" for name in names)), rows)


def compared(title: str, columns: Mapping[str, Result]) -> list[str]:
    """Return tables as columns of one, with how many times that of the base each figure is."""
    firsts = [table.first() for table in columns.values()]
    rows = [
        (name, *(f"{_text(first[name])} ({first[name].ratio or 1:.2f})" for first in firsts))
        for name in firsts[0]
    ]
    return list_table((title, *columns), rows)


def shares(title: str, columns: Mapping[str, Result], form: str) -> list[str]:
    """Return tables as columns of one, without the rows that are nearly nothing in all of them."""
    firsts = [table.first() for table in columns.values()]
    rows = [
        (name, *(form.format(first[name].median) for first in firsts))
        for name in firsts[0]
        if any(first[name].median >= 0.5 for first in firsts)
    ]
    return list_table((title, *columns), rows)


def own(tables: Mapping[str, Result]) -> list[str]:
    """Return Python's own share of each call, and of Trio's checkpoint."""
    rows = []
    for name, table in tables.items():
        stock, ours = (table.first().get(subject) for subject in (STOCK, OURS))
        rows.append((name, _text(stock), _text(ours), _ratio(ours, stock)))
    return list_table(("µs per call", STOCK, OURS, "÷ Trio"), rows)


def limits(tables: Iterable[Result]) -> list[str]:
    return [
        f"\n| \\* {table.title}, {name}: {row.limit}"
        for table in tables
        for name, row in table.first().items()
        if row.limit
    ]


def write(results: Results, folder: Path) -> None:
    """Write all pages whose tables there are."""

    def some(prefix: str, suffix: str = "") -> dict[str, Result]:
        """Return the tables whose keys begin and end like this, by what is between."""
        return {
            key.removeprefix(prefix).removesuffix(suffix): table
            for key, table in results.tables.items()
            if key.startswith(prefix) and key.endswith(suffix)
        }

    def named(prefix: str, names: Mapping[str, str]) -> dict[str, Result]:
        found = some(prefix)
        return {name: found[key] for key, name in names.items() if key in found}

    about = ["", results.about[0]]
    pages: dict[str, list[str]] = {}
    calls = some("own-")
    streams = [t for t in some("").values() if OURS in t.rows and t not in calls.values()]
    if streams and (packets := [*some("datagrams").values()]):
        parts = summary(streams), datagrams(packets), limits([*streams, *packets])
        pages["summary"] = sum(parts, start=about)
    if web := [(scheme, named(f"{scheme}-", WEB)) for scheme in SCHEMES if some(f"{scheme}-")]:
        pages["http"] = sum((compared(scheme.upper(), each) for scheme, each in web), start=about)
    if inside := some("where-"):
        works = {key: table for key, table in inside.items() if not key.startswith("http")}
        often = some("where-http-", "-calls")
        requests = {name: inside[f"http-{name}"] for name in often}
        pages["where"] = shares("Share of the time", works, "{:.0f}%")
        pages["http-where"] = shares("Share of Hypercorn's time", requests, "{:.0f}%")
        pages["http-where"] += shares("For each request", often, "{:,.1f}")
    if calls:
        pages["own"] = own(calls)
    if workers := named("cores", CORES):
        pages["cores"] = compared("Workers", workers)
    for name, lines in pages.items():
        text = "\n".join((".. Written by tests/bench.", *lines))
        (folder / f"{name}.inc").write_text(f"{text}\n", "utf-8")
