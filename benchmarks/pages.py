"""The tables of the documentation, in reStructuredText, made from the results at each build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .names import LOOPS, OURS, RAW, RUN, SCHEMES, SOCKET, STOCK, STOCK_DATAGRAMS
from .results import Result, Results
from .table import Row

#: Which subjects ours is compared with.
AGAINST: Final = {"Trio": STOCK, "recv_into": SOCKET, **{loop: loop for loop in LOOPS}, "C": RAW}
NONE: Final = "–"
BRACKETS: Final = (
    "In brackets: the ratio to {}. It is the median of the ratios of all rounds, so equal figures "
    "can have different ratios."
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
    """Return the ratio of two rows of a table, from those to their common base."""
    if one and other and one.ratio and other.ratio:
        return f"{one.ratio / other.ratio:.2f}"
    return NONE


def _compared(row: Row) -> str:
    return f"{_text(row)} ({row.ratio or 1:.2f})"


def summary(tables: Iterable[Result]) -> list[str]:
    """Return our figure of each table, compared with those of the others."""
    rows = []
    for table in tables:
        first = table.first()
        ours, run = first.get(OURS), first.get(RUN)
        ratios = [_ratio(ours, first.get(name)) for name in AGAINST.values()]
        of_run = (_text(run), _ratio(run, first.get(STOCK)))
        rows.append((_title(table), _text(ours), *ratios, *of_run))
    others = (f"÷ {name}" for name in AGAINST)
    header = ("Work (↑ more is better, ↓ less)", OURS, *others, "run", "run ÷ Trio")
    return list_table(header, rows)


def datagrams(tables: Iterable[Result]) -> list[str]:
    """Return stock Trio's figure of each table, and those of all others divided by it."""
    firsts = {_title(table): table.first() for table in tables}
    names = [*dict.fromkeys(name for first in firsts.values() for name in first)][1:]
    rows = []
    for title, first in firsts.items():
        stock = first[STOCK_DATAGRAMS]
        rows.append((title, _text(stock), *(_ratio(first.get(name), stock) for name in names)))
    return list_table(("Work", STOCK_DATAGRAMS, *(f"÷: {name}" for name in names)), rows)


def own(tables: Mapping[str, Result]) -> list[str]:
    rows = []
    for name, table in tables.items():
        stock, ours = (table.first().get(subject) for subject in (STOCK, OURS))
        rows.append((name, _text(stock), _text(ours), _ratio(ours, stock)))
    return list_table(("µs per call", STOCK, OURS, "÷ Trio"), rows)


def columns(title: str, tables: Mapping[str, Result], cell: Callable[[Row], str]) -> list[str]:
    """Return tables as columns of one, without the rows that are nearly zero in all of them."""
    firsts = [table.first() for table in tables.values()]
    rows = [
        (name, *(cell(first[name]) for first in firsts))
        for name in firsts[0]
        if any(first[name].median >= 0.4 for first in firsts)
    ]
    (base,) = {table.base for table in tables.values()}
    return [*list_table((title, *tables), rows), *([f"\n{BRACKETS.format(base)}"] if base else [])]


def make(results: Results) -> dict[str, str]:
    """Return all tables whose results there are, each by the name of its file."""

    def some(prefix: str, suffix: str = "") -> dict[str, Result]:
        """Return the tables whose keys begin and end like this, by what is between."""
        return {
            key.removeprefix(prefix).removesuffix(suffix): table
            for key, table in results.tables.items()
            if key.startswith(prefix) and key.endswith(suffix)
        }

    def share(row: Row) -> str:
        return f"{row.median:.0f} %"

    about = ["", results.about[0]]
    pages: dict[str, list[str]] = {}
    calls, packets = some("own-"), [*some("datagrams").values()]
    streams = [t for t in some("").values() if OURS in t.rows and t not in calls.values()]
    if streams and packets:
        pages["summary"] = [*about, *summary(streams), *datagrams(packets)]
        for table in (*streams, *packets):
            for name, row in table.first().items():
                if row.limit:
                    pages["summary"].append(f"\n| \\* {table.title}, {name}: {row.limit}")
    for scheme in SCHEMES:
        if servers := some(f"{scheme}-").values():
            page = pages.setdefault("http", about.copy())
            page += columns("Server", {_title(table): table for table in servers}, _compared)
    if inside := some("where-"):
        works = {key: table for key, table in inside.items() if not key.startswith("http")}
        counts = some("where-http-", "-calls")
        requests = {name: inside[f"http-{name}"] for name in counts}
        pages["where"] = columns("Share of the time", works, share)
        pages["http-where"] = columns("Share of Hypercorn's time", requests, share)
        pages["http-where"] += columns("Per request", counts, lambda row: f"{row.median:,.1f}")
    if calls:
        pages["own"] = own(calls)
    if workers := some("cores").values():
        titles = {f"{t.figure.title}, {t.figure.unit}": t for t in workers}
        pages["cores"] = columns("Server", titles, _compared)
    return {name: "\n".join(lines) + "\n" for name, lines in pages.items()}
