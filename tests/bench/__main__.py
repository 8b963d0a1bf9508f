"""Measures trio_wsarecv side by side with what else there is: ``python -m tests.bench``.

Results go to ``docs/benchmarks/``: a JSON file with every round of every table, and a plot of each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests import packages

from . import build, cancelling, counting, growth, machine, memory, plot, rounds, summary
from .headroom import headroom
from .processes import Child, started
from .scale import Scale
from .subjects import OURS, RAW, STOCK, Subject, subjects
from .works import WORKS

if TYPE_CHECKING:
    from .growth import Growth
    from .table import Table

HERE = Path(__file__).resolve().parent
ONE_OF_EACH = (STOCK, OURS, "asyncio Protocol", "winloop Protocol", RAW)
GROWING = (STOCK, OURS, RAW)


VERSIONS = """
import importlib.metadata, platform
names = ["trio", "cffi", "winloop"]
versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
print("bench versions", ", ".join([f"CPython {platform.python_version()}", *versions]))
"""


def versions(where: machine.Machine) -> str:
    """Return what runs on the Windows side."""
    child = Child([*where.launcher, where.python, "-c", VERSIONS], where.environ)
    try:
        return child.answer("versions").strip()
    finally:
        child.finish()


def report(table: Table | Growth) -> None:
    print(*table.lines(), sep="\n", flush=True)


def measure(
    where: machine.Machine, binaries: build.Binaries, scale: Scale, wanted: list[str]
) -> list[Table]:
    tables = []
    load = (*where.generator_launcher, str(binaries.load))
    everyone = subjects(where, binaries)

    def want(key: str) -> bool:
        return not wanted or any(key.startswith(each) for each in wanted)

    def commands(of: list[Subject]) -> dict[str, tuple[str, ...]]:
        return {subject.name: subject.command for subject in of}

    def done(*new: Table) -> None:
        for table in new:
            tables.append(table)
            report(table)

    if want("calls"):
        done(*counting.measure(where, HERE / "calls.py", scale.receives))
    with started(commands(everyone), where.environ) as children:
        for work in WORKS:
            if not want(work.key):
                continue
            able = {s.name: children[s.name] for s in everyone if s.does(work.name)}
            figures, processor = rounds.measure(
                load, able, work, where.server, rounds=scale.rounds, seconds=scale.seconds
            )
            figures.notes.append(headroom(where, binaries, work, figures))
            done(figures)
            if work.figure.more_is_better:
                done(processor)
    cancelled = [s for s in everyone if s.name in (STOCK, OURS, RAW)]
    if want("cancel"):
        with started(commands(cancelled), where.environ) as children:
            few, many = (
                cancelling.measure(load, children, connections, scale.rounds)
                for connections in scale.cancelled
            )
            done(few, many, cancelling.growth(few, many))
    if want("idle"):
        idle = [s for s in everyone if s.name in ONE_OF_EACH]
        done(
            memory.measure(
                load, commands(idle), where.environ, where.server, scale.idle, scale.idle_rounds
            )
        )
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="less of everything, and no growth: 2 minutes"
    )
    parser.add_argument("--only", action="append", default=[], help="tables that begin like this")
    parser.add_argument("--output", type=Path, default=summary.OUTPUT, help="where the results go")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]

    begin = time.monotonic()
    scale = Scale(options.quick)
    folder = packages.ensure("bench")
    growths = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        binaries = build.build(Path(scratch))
        with machine.windows(folder) as where:
            tables = measure(where, binaries, scale, options.only)
            running = versions(where)
        if "growth" in options.only or not (options.only or options.quick):
            for each in growth.measure(folder, binaries, GROWING, scale):
                report(each)
                growths.append(each)
    about = {
        "system": where.name,
        "versions": running,
        "processors": psutil.cpu_count(),
        "load of the machine, 1 minute": psutil.getloadavg()[0],
        "quick": options.quick,
        "rounds": scale.rounds,
    }
    print(*summary.as_text(tables), sep="\n")
    options.output.mkdir(parents=True, exist_ok=True)
    results = {
        "about": about,
        "tables": {table.key: table.as_json() for table in tables},
        "growth": {each.key: each.as_json() for each in growths},
    }
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (options.output / "results.json").write_text(f"{text}\n", "utf-8")
    line = f"measured on {where.name}, {about['versions']}; {scale.rounds} alternating rounds"
    page = summary.as_rst(f"M{line[1:]}", tables, growths)
    (options.output / "summary.inc").write_text(page, "utf-8")
    for table in tables:
        plot.plot(table, line, options.output / f"{table.key}.svg")
    for each in growths:
        plot.plot_growth(each, line, options.output / f"{each.key}.svg")
    print(f"{time.monotonic() - begin:.0f} s; results in {os.path.relpath(options.output)}")


if __name__ == "__main__":
    main()
