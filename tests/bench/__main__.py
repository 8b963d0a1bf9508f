"""Measures trio_wsarecv side by side with what else there is: ``python -m tests.bench``.

A whole run measures everything twice and writes all that ``docs/benchmarks/`` has: a file of
results, plots, and what the pages of the documentation include.  A part of it, or a quick run,
measures once and writes to the folder that ``--output`` names, if any.  With ``--replot`` nothing
is measured, and all that comes from the file of results is written again.  With
``--against COMMIT`` only the package of the work tree and that of the commit are compared.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests import packages

from . import against, build, everybody, machine, pages, plots, results, scale
from .processes import Child
from .subjects import python

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS: Final = 2
VERSIONS: Final = """
import importlib.metadata, platform, sys
versions = [f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]]
print("bench versions", ", ".join([f"CPython {platform.python_version()}", *versions]))
"""
COMPARED: Final = ("trio", "cffi", "winloop", "hypercorn", "uvicorn", "h11")


def versions(where: machine.Machine) -> str:
    """Return the versions of Python and of the packages that matter."""
    child = Child(python(where, "-c", VERSIONS, *COMPARED), where.environ)
    try:
        return child.answer("versions").strip()
    finally:
        child.finish()


def compare(raw: Path, commit: str, how: scale.Scale, want: Callable[[str], bool]) -> None:
    """Compare with the package of a commit."""
    folder = packages.ensure("bench")
    with machine.windows(folder) as where:
        tables = against.measure(where, folder, raw, commit, how, want)
    print(*against.lines(tables, commit), sep="\n")


def run(raw: Path, how: scale.Scale, want: Callable[[str], bool], found: results.Results) -> None:
    """Measure once, compared with everybody, and add that to the results."""
    folder = packages.ensure("bench")
    tables = []
    with machine.windows(folder) as where:
        about = (
            f"Measured on {where.name}, {versions(where)}; {how.rounds} alternating rounds"
            f"{'' if how is scale.FULL else ', of a quick run'}; {where.pinning}"
        )
        print(about, flush=True)
        steps = everybody.on_streams_and_datagrams(where, folder, raw, how, want)
        if sys.platform == "linux":
            inside = everybody.on_the_web_and_inside(where, raw.parent, how, want)
            steps = chain(steps, inside)
        for new in steps:
            for table in new:
                print(*table.lines(), sep="\n", flush=True)
            tables += new
    if sys.platform == "linux":
        for new in everybody.outside_of_windows(want):
            for table in new:
                print(*table.lines(), sep="\n", flush=True)
            tables += new
    found.add(about, tables)


def write(found: results.Results, output: Path) -> None:
    """Write what the documentation has of the results."""
    pages.write(found, output)
    plots.draw(found, output)
    print(f"results in {os.path.relpath(output)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", action="append", default=[], help="tables that begin like this")
    parser.add_argument("--replot", action="store_true", help="write plots and pages, no more")
    parser.add_argument("--against", metavar="COMMIT", help="compare with its package alone")
    parser.add_argument("--output", type=Path, help="a folder")
    options = parser.parse_args()
    if options.replot:
        folder = options.output or results.OUTPUT
        write(results.read(folder), folder)
        return
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]

    def want(key: str) -> bool:
        return not options.only or any(
            key.startswith(each) or each.startswith(key) for each in options.only
        )

    begin, busy = time.monotonic(), machine.Others()
    whole = not (options.quick or options.only)
    build.ensure_tools()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        raw = build.build_raw(Path(scratch))
        if options.against:
            how = scale.AGAINST_QUICK if options.quick else scale.AGAINST
            compare(raw, options.against, how, want)
        else:
            found = results.Results()
            output = options.output or (results.OUTPUT if whole else None)
            for _ in range(RUNS if whole else 1):
                run(raw, scale.QUICK if options.quick else scale.FULL, want, found)
            if output:
                output.mkdir(parents=True, exist_ok=True)
                found.write(output)
                write(found, output)
    seconds = time.monotonic() - begin
    print(
        f"{seconds:.0f} s; other programs used {busy.seconds() / seconds:.2f} processors meanwhile"
    )


if __name__ == "__main__":
    main()
