"""What the documentation includes of the results, written from their file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .results import NONE
from .subjects import LOOPS, OURS, RAW, RUN, SOCKET, STOCK, STOCK_DATAGRAMS
from .web import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from .results import Result, Results
    from .table import Row

#: Whom we are compared with.
AGAINST: Final = {"Trio": STOCK, "recv_into": SOCKET, **{loop: loop for loop in LOOPS}, "C": RAW}


BRACKETS: Final = (
    "In brackets: the ratio to {}. It is the median of the ratios of all rounds, each of turns "
    "that follow each other, so equal figures can have different ratios."
)


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


def columns(title: str, tables: Mapping[str, Result], cell: Callable[[Row], str]) -> list[str]:
    """Return tables as columns of one, without the rows that are nearly nothing in all of them."""
    firsts = [table.first() for table in tables.values()]
    rows = [
        (name, *(cell(first[name]) for first in firsts))
        for name in firsts[0]
        if any(first[name].median >= 0.4 for first in firsts)
    ]
    (base,) = {table.base for table in tables.values()}
    return [*list_table((title, *tables), rows), *([f"\n{BRACKETS.format(base)}"] if base else [])]


def compared(row: Row) -> str:
    return f"{_text(row)} ({row.ratio or 1:.2f})"


def share(row: Row) -> str:
    return f"{row.median:.0f}%"


def own(tables: Mapping[str, Result]) -> list[str]:
    rows = []
    for name, first in ((name, table.first()) for name, table in tables.items()):
        stock, ours = first.get(STOCK), first.get(OURS)
        rows.append((name, _text(stock), _text(ours), _ratio(ours, stock)))
    return list_table(("µs per call", STOCK, OURS, "÷ Trio"), rows)


def write(results: Results, folder: Path) -> None:
    """Write all pages whose tables there are."""

    def some(prefix: str, suffix: str = "") -> dict[str, Result]:
        """Return the tables whose keys begin and end like this, by what is between."""
        return {
            key.removeprefix(prefix).removesuffix(suffix): table
            for key, table in results.tables.items()
            if key.startswith(prefix) and key.endswith(suffix)
        }

    about = ["", results.about[0]]
    pages: dict[str, list[str]] = {}
    calls, packets = some("own-"), [*some("datagrams").values()]
    streams = [t for t in some("").values() if OURS in t.rows and t not in calls.values()]
    if streams and packets:
        pages["summary"] = [*about, *summary(streams), *datagrams(packets)]
        for table in (*streams, *packets):
            rows = table.first().items()
            limits = [f"\n| \\* {table.title}, {name}: {r.limit}" for name, r in rows if r.limit]
            pages["summary"] += limits
    for scheme in SCHEMES:
        if servers := some(f"{scheme}-").values():
            page = pages.setdefault("http", about.copy())
            page += columns("Server", {_title(table): table for table in servers}, compared)
    if inside := some("where-"):
        works = {key: table for key, table in inside.items() if not key.startswith("http")}
        often = some("where-http-", "-calls")
        requests = {name: inside[f"http-{name}"] for name in often}
        pages["where"] = columns("Share of the time", works, share)
        pages["http-where"] = columns("Share of Hypercorn's time", requests, share)
        pages["http-where"] += columns("For each request", often, lambda row: f"{row.median:,.1f}")
    if calls:
        pages["own"] = own(calls)
    if workers := some("cores").values():
        titles = {f"{t.figure.title}, {t.figure.unit}": t for t in workers}
        pages["cores"] = columns("Server", titles, compared)
    for name, lines in pages.items():
        text = "\n".join((".. Written by benchmarks.", *lines))
        (folder / f"{name}.inc").write_text(f"{text}\n", "utf-8")
