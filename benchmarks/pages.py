"""The tables of the documentation, in reStructuredText, made from the results at each build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .results import MARK, OURS, Results, Row, Table


def _brackets(base: str) -> str:
    return f"\nIn brackets: the median of the ratios to {base}, one ratio for each round."


def _compared(row: Row) -> str:
    ratio = "" if row.ratio is None else f" ({row.ratio:.2f})"
    return row.text.replace(MARK, f"\\{MARK}") + ratio


def _share(row: Row) -> str:
    return f"{row.median:.0f} %"


def _headed(tables: Iterable[Table]) -> dict[str, Table]:
    return {table.heading: table for table in tables}


def _grid(
    corner: str,
    tables: Mapping[str, Table],
    cell: Callable[[Row], str] = _compared,
    turned: bool = False,
) -> list[str]:
    """Return a line for each table; or a column, if turned.

    A line that is nearly zero everywhere is left out.
    """
    lines = {title: table.first() for title, table in tables.items()}
    columns = dict.fromkeys(name for rows in lines.values() for name in rows)
    if turned:
        lines = {name: {title: lines[title][name] for title in lines} for name in columns}
        columns = dict.fromkeys(tables)
    text = ["", ".. list-table::", "   :header-rows: 1", "   :class: figures", ""]
    text += [f"   * - {corner}", *(f"     - {name}" for name in columns)]
    for title, rows in lines.items():
        if any(row.median >= 0.4 for row in rows.values()):
            text.append(f"   * - {title}")
            text += [f"     - {cell(rows[name]) if name in rows else '–'}" for name in columns]
    return text


def make(results: Results) -> dict[str, str]:
    """Return all tables, each by the name of its file."""

    def some(prefix: str, suffix: str = "") -> dict[str, Table]:
        """Return the tables whose keys begin and end like this, by what is between."""
        return {
            key.removeprefix(prefix).removesuffix(suffix): table
            for key, table in results.tables.items()
            if key.startswith(prefix) and key.endswith(suffix)
        }

    about = ["", results.about[0]]
    packets = some("datagrams").values()
    streams = [t for t in some("").values() if OURS in t.rows and not t.key.startswith("own-")]
    pages = {"summary": [*about, *_grid("Streams (↑ more is better, ↓ less)", _headed(streams))]}
    pages["summary"] += [_brackets("Trio"), *_grid("Datagrams", _headed(packets))]
    for table in (*streams, *packets):
        for name, row in table.first().items():
            if row.limit:
                pages["summary"].append(f"\n| \\{MARK} {table.title}, {name}: {row.limit}")
    pages["http"] = about
    for scheme in ("http", "https"):
        servers = _headed(some(f"{scheme}-").values())
        pages["http"] += [*_grid("Server", servers, turned=True), _brackets("Hypercorn on Trio")]
    works = {key: table for key, table in some("where-").items() if not key.startswith("http")}
    pages["where"] = _grid("Share of the time", works, _share, turned=True)
    counts = some("where-http-", "-calls")
    requests = {name: results.tables[f"where-http-{name}"] for name in counts}
    pages["http-where"] = _grid("Share of Hypercorn's time", requests, _share, turned=True)
    pages["http-where"] += _grid("Per request", counts, turned=True)
    pages["own"] = [*_grid("µs per call", some("own-")), _brackets("Trio")]
    workers = {f"{t.figure.title}, {t.figure.unit}": t for t in some("cores").values()}
    pages["cores"] = [*_grid("Server", workers, turned=True), _brackets("1 worker")]
    return {name: "\n".join(lines) + "\n" for name, lines in pages.items()}
