"""All that is measured of web servers and clients, and what the documentation has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.apps.certificates import create
from tests.bench.everybody import report
from tests.bench.subjects import STOCK
from tests.bench.summary import about_line, arrow, list_table

from . import download, servers, serving, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tests.bench.machine import Machine
    from tests.bench.scale import Scale
    from tests.bench.table import Table

#: The packages whose versions matter.
COMPARED: Final = ("trio", "hypercorn", "uvicorn", "h11", "winloop", "httpx")
VERSIONS: Final = "web versions"  # what the JSON file calls them
SCHEMES: Final = ("http", "https")
#: What the columns of a page are called, by how a table's key ends.
COLUMNS: Final = {
    "-paced": f"µs per request, {serving.RATE}/s",
    "-busy": "requests/s, at full load",
    "-busy-processor": "µs per request, at full load",
    "-download": "MiB/s",
    "-download-processor": "µs per MiB",
}


def wanted(want: Callable[[str], bool]) -> bool:
    """Return whether there is anything to measure."""
    return any(want(f"{scheme}{end}") for scheme in SCHEMES for end in (*COLUMNS, "-where"))


def measure(
    machine: Machine, load: Path, scale: Scale, want: Callable[[str], bool], output: Path | None
) -> list[Table]:
    """Measure what is wanted, and return the tables; a profile goes into a folder, if any.

    The certificates for that are made beside the load generator.
    """
    tables: list[Table] = []
    certificates = create(load.parent)

    def done(new: Iterable[Table]) -> None:
        for table in new:
            tables.append(table)
            report(table)

    for scheme in SCHEMES:
        if want(f"{scheme}-paced") or want(f"{scheme}-busy"):
            done(serving.measure(machine, load, certificates, scale, scheme))
        if want(f"{scheme}-download"):
            done(download.measure(machine, certificates, scale, scheme))
    if want("http-where"):
        where.measure(machine, load, output)
    return tables


def write(output: Path, about: dict[str, Any], tables: Sequence[Table]) -> None:
    """Write the tables for the documentation."""
    lines = [".. Written by tests/bench.", "", f"{about_line(about, VERSIONS)}."]
    for base, first in ((servers.TRIO, "Server"), (STOCK, "Client: httpx")):
        for scheme in SCHEMES:
            columns = [t for t in tables if t.base == base and t.key.startswith(f"{scheme}-")]
            if columns:
                lines += ["", *page(f"{first}, {scheme.upper()}", scheme, columns)]
    lines += [f"\n| \\{line}" for table in tables for line in table.said()]
    (output / "http.inc").write_text("\n".join(lines) + "\n", "utf-8")


def page(first: str, scheme: str, columns: Sequence[Table]) -> list[str]:
    """Return a table: the medians, and how often each is that of the first row."""
    names = [f"{arrow(table)} {COLUMNS[table.key.removeprefix(scheme)]}" for table in columns]
    rows = [
        (name, *(f"{t.cell(name)} ({t.ratio(name, t.base):.2f})" for t in columns))
        for name in columns[0].rows
    ]
    return list_table((first, *names), rows)
