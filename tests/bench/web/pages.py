"""All that is measured of web servers and clients, and what the documentation has of it."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

from tests.apps.certificates import create
from tests.bench.everybody import report
from tests.bench.plot import bars, pyplot
from tests.bench.subjects import STOCK
from tests.bench.summary import arrow, list_table

from . import download, servers, serving, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tests.bench.machine import Machine
    from tests.bench.scale import Scale
    from tests.bench.table import Table

#: The packages whose versions matter.
COMPARED: Final = ("trio", "hypercorn", "uvicorn", "h11", "winloop", "httpx")
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
    """Write the tables for the documentation, and the plot."""
    line = f"{about['system']}, {about['web versions']}; {about['rounds']} alternating rounds"
    lines = [".. Written by tests/bench.", "", f"Measured on {line}."]
    for base, first in ((servers.TRIO, "Server"), (STOCK, "Client: httpx")):
        for scheme in SCHEMES:
            columns = [t for t in tables if t.base == base and t.key.startswith(f"{scheme}-")]
            if columns:
                lines += ["", *page(f"{first}, {scheme.upper()}", scheme, columns)]
    (output / "http.inc").write_text("\n".join(lines) + "\n", "utf-8")
    panels = [table for table in tables if table.key in ("http-paced", "http-busy")]
    if panels:
        plot(panels, f"measured on {line}", output / "http.svg")


def page(first: str, scheme: str, columns: Sequence[Table]) -> list[str]:
    """Return a table: the medians, and how often each is that of the first row."""
    names = [f"{arrow(table)} {COLUMNS[table.key.removeprefix(scheme)]}" for table in columns]
    rows = [
        (name, *(f"{t.median(name):,.4g} ({t.ratio(name, t.base):.2f})" for t in columns))
        for name in columns[0].rows
    ]
    return list_table((first, *names), rows)


def plot(tables: Sequence[Table], about: str, target: Path) -> None:
    """Draw tables side by side, each with what it was that was done."""
    draw = pyplot("http")
    figure, panels = draw.subplots(
        ncols=len(tables), sharey=True, squeeze=False, figsize=(8, 4), layout="constrained"
    )
    for axes, table in zip(panels[0], tables, strict=True):
        bars(axes, table)
        axes.set_xlabel(axes.get_xlabel().replace(" (", "\n("))
        title, how = table.title.rsplit(", ", 1)
        axes.set_title(how, loc="left", fontsize=10)
    panels[0][0].invert_yaxis()
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(fill(f"lines: from the least round to the greatest; {about}", 110), fontsize=8)
    figure.savefig(target, metadata={"Date": None})
    draw.close(figure)
