"""The tables of the documentation, in reStructuredText, made from the results at each build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .results import Result, Results
from .table import MARK, OURS, SCHEMES, Row

Rows = Mapping[str, Mapping[str, Row]]

BRACKETS = "\nIn brackets: the median of the ratios to {}, one ratio for each round."


def _titles(tables: Iterable[Result]) -> Rows:
    """Return the rows of the first run of each table, by its title."""
    return {
        f"{t.figure.arrow} {t.title}: {t.figure.title}, {t.figure.unit}": t.first() for t in tables
    }


def _compared(row: Row) -> str:
    ratio = "" if row.ratio is None else f" ({row.ratio:.2f})"
    return row.text.replace(MARK, f"\\{MARK}") + ratio


def _grid(corner: str, lines: Rows, cell: Callable[[Row], str] = _compared) -> list[str]:
    """Return a table; a row that is nearly zero everywhere is left out."""
    columns = dict.fromkeys(name for rows in lines.values() for name in rows)
    text = ["", ".. list-table::", "   :header-rows: 1", "   :class: figures", ""]
    text += [f"   * - {corner}", *(f"     - {name}" for name in columns)]
    for title, rows in lines.items():
        if any(row.median >= 0.4 for row in rows.values()):
            text.append(f"   * - {title}")
            text += [f"     - {cell(rows[name]) if name in rows else '–'}" for name in columns]
    return text


def _turned(lines: Rows) -> Rows:
    """Return the same with rows as columns."""
    names = dict.fromkeys(name for rows in lines.values() for name in rows)
    return {name: {title: lines[title][name] for title in lines} for name in names}


def _share(row: Row) -> str:
    return f"{row.median:.0f} %"


def make(results: Results) -> dict[str, str]:
    """Return all tables whose results there are, each by the name of its file."""

    def some(prefix: str, suffix: str = "") -> dict[str, Result]:
        """Return the tables whose keys begin and end like this, by what is between."""
        return {
            key.removeprefix(prefix).removesuffix(suffix): table
            for key, table in results.tables.items()
            if key.startswith(prefix) and key.endswith(suffix)
        }

    def firsts(tables: Mapping[str, Result]) -> Rows:
        return {name: table.first() for name, table in tables.items()}

    about = ["", results.about[0]]
    pages: dict[str, list[str]] = {}
    own, inside = some("own-"), some("where-")
    packets = [*some("datagrams").values()]
    streams = [t for t in results.tables.values() if OURS in t.rows and t not in own.values()]
    if streams and packets:
        pages["summary"] = [*about, *_grid("Streams (↑ more is better, ↓ less)", _titles(streams))]
        pages["summary"] += [BRACKETS.format("Trio"), *_grid("Datagrams", _titles(packets))]
        for table in (*streams, *packets):
            for name, row in table.first().items():
                if row.limit:
                    pages["summary"].append(f"\n| \\{MARK} {table.title}, {name}: {row.limit}")
    for scheme in SCHEMES:
        if servers := some(f"{scheme}-").values():
            pages.setdefault("http", about.copy())
            pages["http"] += _grid("Server", _turned(_titles(servers)))
            pages["http"].append(BRACKETS.format("Hypercorn on Trio"))
    if inside:
        works = {key: table for key, table in inside.items() if not key.startswith("http")}
        counts = some("where-http-", "-calls")
        requests = {name: inside[f"http-{name}"] for name in counts}
        pages["where"] = _grid("Share of the time", _turned(firsts(works)), _share)
        pages["http-where"] = _grid("Share of Hypercorn's time", _turned(firsts(requests)), _share)
        pages["http-where"] += _grid("Per request", _turned(firsts(counts)))
    if own:
        pages["own"] = [*_grid("µs per call", firsts(own)), BRACKETS.format("Trio")]
    if workers := some("cores").values():
        rows = {f"{t.figure.title}, {t.figure.unit}": t.first() for t in workers}
        pages["cores"] = [*_grid("Server", _turned(rows)), BRACKETS.format("1 worker")]
    return {name: "\n".join(lines) + "\n" for name, lines in pages.items()}
