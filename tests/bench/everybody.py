"""All subjects and all works, and what the documentation has of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from . import (
    cancelling,
    counting,
    datagrams,
    growth,
    machine,
    memory,
    plots,
    rounds,
    summary,
)
from .headroom import headroom
from .subjects import OURS, RAW, RUN, STOCK, started, subjects
from .table import Tables
from .works import BURSTS, IDLE, WORKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .build import Binaries
    from .growth import Growth
    from .scale import Scale
    from .table import Table

HERE = Path(__file__).resolve().parent
ONE_OF_EACH = (STOCK, OURS, "asyncio Protocol", "winloop Protocol", RAW)
CANCELLING = (STOCK, OURS, RAW)
BURSTING = (STOCK, OURS, RUN)
GROWING = (STOCK, OURS, RAW)


def report(table: Table | Growth) -> None:
    print(*table.lines(), sep="\n", flush=True)


def measure(
    where: machine.Machine,
    folder: Path,
    binaries: Binaries,
    scale: Scale,
    want: Callable[[str], bool],
) -> list[Table]:
    """Do all works but the growths, and return the tables.

    Args:
      where: the machine.
      folder: the packages that the subjects need, on machines of their own too.
      binaries: the native programs.
      scale: how much is done.
      want: whether a table is wanted, by its key.
    """
    tables = Tables()
    everyone = subjects(where, binaries)
    if want("calls"):
        tables.add(*counting.measure(where, HERE / "calls.py", scale.receives))
    for cast, works, load in (
        (everyone, WORKS, binaries.load),
        (datagrams.subjects(where, binaries), datagrams.WORKS, binaries.datagrams),
    ):
        wanted = [work for work in works if want(work.key)]
        for start in range(scale.starts if wanted else 0):
            with started(cast) as children:
                for work in wanted:
                    print(f"{work.key}, {start + 1} of {scale.starts}", flush=True)
                    able = {s.name: children[s.name] for s in cast if s.does(work.name)}
                    figures, *processor = rounds.measure(
                        load, able, work, where.server, rounds=scale.rounds, seconds=scale.seconds
                    )
                    if works is WORKS and not start:
                        headroom(where, binaries, work, figures)
                    tables.add(figures, *processor)
    if want("cancel"):
        both = Tables()
        for start in range(scale.starts):
            print(f"cancel, {start + 1} of {scale.starts}", flush=True)
            with started(s for s in everyone if s.name in CANCELLING) as children:
                for connections in scale.cancelled:
                    both.add(cancelling.measure(binaries.load, children, connections, scale.rounds))
        few, many = both.values()
        tables.add(few, many, cancelling.growth(few, many))
    for work in (IDLE, *BURSTS):
        if want(work.key):
            names, connections = (
                (ONE_OF_EACH, scale.idle) if work is IDLE else (BURSTING, scale.bursts)
            )
            for start in range(scale.starts):
                print(f"{work.key}, {start + 1} of {scale.starts}", flush=True)
                tables.add(
                    memory.measure(
                        binaries.load,
                        folder,
                        lambda machine: subjects(machine, binaries),
                        names,
                        work,
                        connections,
                    )
                )
    for table in tables.values():
        report(table)
    return list(tables.values())


def grow(folder: Path, binaries: Binaries, scale: Scale) -> list[Growth]:
    """Measure how the figures grow."""
    growths = []
    for each in growth.measure(folder, binaries, GROWING, scale):
        report(each)
        growths.append(each)
    return growths


def write(
    output: Path,
    about: dict[str, Any],
    tables: list[Table],
    pages: list[Table],
    growths: list[Growth],
) -> None:
    """Write the JSON file, the summary and the plots.

    Args:
      output: the folder for them.
      about: what the JSON file says of the measurement.
      tables: all tables that are on one page.
      pages: those of web servers and clients, which have one of their own.
      growths: all growths.
    """
    about["processors"] = psutil.cpu_count()
    results = {
        "about": about,
        "tables": {table.key: table.as_json() for table in [*tables, *pages]},
        "growth": {each.key: each.as_json() for each in growths},
    }
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (output / summary.RESULTS).write_text(f"{text}\n", "utf-8")
    page = summary.as_rst(about, tables, growths)
    (output / "summary.inc").write_text(page, "utf-8")
    plots.draw(output)
