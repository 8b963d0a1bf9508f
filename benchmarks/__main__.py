"""Measures trio_wsarecv beside Trio, asyncio, winloop and C: ``python -m benchmarks``.

A whole run measures everything twice, which takes about 13 minutes on two processors, and writes
what ``docs/benchmarks`` has, the results and the plots, and the figures in README.  A part of it,
or a quick run, measures once, and writes to the folder that ``--output`` names, if any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tools import packages

from . import against, figures, machine, plan, plots, results
from .plan import AGAINST, FULL, QUICK, Plan
from .subjects import start_python

RUNS: Final = 2
VERSIONS: Final = """
import importlib.metadata, platform, sys
versions = [f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]]
print("bench versions", ", ".join([f"CPython {platform.python_version()}", *versions]))
"""
COMPARED: Final = ("trio", "cffi", "winloop", "hypercorn", "uvicorn", "h11")


def about(where: machine.Machine, what: Plan) -> str:
    """Say what is measured there, and how."""
    child = start_python(where, "-c", VERSIONS, *COMPARED)
    versions = child.answer("versions")
    child.finish()
    quick = "" if what.scale is FULL else ", of a quick run"
    rounds = f"{what.scale.rounds} alternating rounds{quick}"
    return f"Measured on {where.name}, {versions}; {rounds}; {where.pinning}."


def run(what: Plan, found: results.Results) -> None:
    """Measure everything once, and add it to the results."""
    tables = []
    with machine.windows(what.packages) as where:
        text = about(where, what)
        print(text)
        for table in plan.on_windows(where, what):
            print(*table.lines(), sep="\n", flush=True)
            tables.append(table)
    if sys.platform == "linux":
        for table in plan.on_linux(what.want):
            print(*table.lines(), sep="\n", flush=True)
            tables.append(table)
    found.add(text, tables)


def publish(folder: Path) -> None:
    """Draw the plots of the results in a folder; write README's figures if they are its results."""
    found = results.read(folder)
    plots.draw(found, folder)
    if folder == results.OUTPUT:
        text = figures.README.read_text("utf-8")
        figures.README.write_text(figures.rewrite(text, found), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", action="append", default=[], help="tables that begin like this")
    parser.add_argument("--replot", action="store_true", help="use the results, measure nothing")
    parser.add_argument("--against", metavar="COMMIT", help="compare with the package of a commit")
    parser.add_argument("--output", type=Path, help="a folder")
    options = parser.parse_args()
    quick, commit, output = options.quick, options.against, options.output
    whole = not (quick or commit or options.only)
    if options.replot:
        publish(output or results.OUTPUT)
        return
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]

    def want(key: str) -> bool:
        return not options.only or any(key.startswith(each) for each in options.only)

    begin = time.monotonic()
    machine.ensure_tools()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        raw = machine.build("raw", Path(scratch), "-lws2_32")
        folder = packages.ensure("benchmarks/requirements.txt")
        scale = QUICK if quick else AGAINST if commit else FULL
        what = Plan(raw, folder, scale, want)
        if commit:
            against.compare(commit, what)
        else:
            found = results.Results()
            for _ in range(RUNS if whole else 1):
                run(what, found)
            if output := output or (results.OUTPUT if whole else None):
                output.mkdir(parents=True, exist_ok=True)
                found.write(output)
                publish(output)
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
