"""Measures trio_wsarecv side by side with what else there is: ``python -m benchmarks``.

A whole run measures everything twice and writes all that ``docs/benchmarks/`` has: a file of
results, plots, and what the pages of the documentation include; and the figures in README.  A part
of it, or a quick run, measures once and writes to the folder that ``--output`` names, if any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tools import packages

from . import against, build, everybody, figures, machine, pages, plots, results
from .everybody import AGAINST, FULL, QUICK
from .processes import Child
from .subjects import python

RUNS: Final = 2
VERSIONS: Final = """
import importlib.metadata, platform, sys
versions = [f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]]
print("bench versions", ", ".join([f"CPython {platform.python_version()}", *versions]))
"""
COMPARED: Final = ("trio", "cffi", "winloop", "hypercorn", "uvicorn", "h11")


def about(where: machine.Machine, plan: everybody.Plan) -> str:
    """Say what is measured there, and how."""
    child = Child(python(where, "-c", VERSIONS, *COMPARED), where.environ)
    versions = child.answer("versions")
    child.finish()
    quick = "" if plan.scale is FULL else ", of a quick run"
    rounds = f"{plan.scale.rounds} alternating rounds{quick}"
    return f"Measured on {where.name}, {versions}; {rounds}; {where.pinning}."


def run(plan: everybody.Plan, found: results.Results) -> None:
    """Compare with everybody once, and add what comes out to the results."""
    tables = []
    with machine.windows(plan.folder) as where:
        text = about(where, plan)
        print(text)
        for table in everybody.on_windows(where, plan):
            print(*table.lines(), sep="\n", flush=True)
            tables.append(table)
    if sys.platform == "linux":
        for table in everybody.on_linux(plan.want):
            print(*table.lines(), sep="\n", flush=True)
            tables.append(table)
    found.add(text, tables)


def draw(folder: Path) -> None:
    """Write what the documentation has of the results in a folder."""
    found = results.read(folder)
    pages.write(found, folder)
    plots.draw(found, folder)
    if folder == results.OUTPUT:
        figures.write_readme(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", action="append", default=[], help="tables that begin like this")
    parser.add_argument("--replot", action="store_true", help="draw the file of results, no more")
    parser.add_argument("--against", metavar="COMMIT", help="compare with its package alone")
    parser.add_argument("--output", type=Path, help="a folder")
    options = parser.parse_args()
    quick, commit, output = options.quick, options.against, options.output
    whole = not (quick or commit or options.only)
    if options.replot:
        draw(output or results.OUTPUT)
        return
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]

    def want(key: str) -> bool:
        return not options.only or any(key.startswith(each) for each in options.only)

    begin = time.monotonic()
    build.ensure_tools()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        raw, folder = build.build_raw(Path(scratch)), packages.ensure("benchmarks/requirements.txt")
        if commit:
            scale = QUICK if quick else AGAINST
            against.compare(commit, everybody.Plan(raw, folder, scale, want))
        else:
            found = results.Results()
            for _ in range(RUNS if whole else 1):
                run(everybody.Plan(raw, folder, QUICK if quick else FULL, want), found)
            if output := output or (results.OUTPUT if whole else None):
                output.mkdir(parents=True, exist_ok=True)
                found.write(output)
                draw(output)
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
