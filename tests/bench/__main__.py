"""Measures trio_wsarecv side by side with what else there is: ``python -m tests.bench``.

A whole run writes all that ``docs/benchmarks/`` has: a JSON file, plots, and what the pages of the
documentation include.  A part of it, or a quick run, writes to the folder that ``--output`` names,
if any.  With ``--replot`` nothing is measured, and the plots are drawn again from the JSON file.
With ``--against COMMIT`` only the package of the work tree and that of the commit are compared, and
``--output`` is the JSON file to be written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import packages

from . import against, build, cores, everybody, machine, plots, speed, summary
from .processes import Child
from .scale import Scale, ScaleAgainst
from .web import pages
from .where import measure as measure_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VERSIONS = """
import importlib.metadata, platform, sys
versions = [f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]]
print("bench versions", ", ".join([f"CPython {platform.python_version()}", *versions]))
"""
COMPARED = ("trio", "cffi", "winloop")


def versions(where: machine.Machine, names: Sequence[str]) -> str:
    """Return the versions of Python and of these packages there."""
    child = Child([*where.launcher, where.python, "-c", VERSIONS, *names], where.environ)
    try:
        return child.answer("versions").strip()
    finally:
        child.finish()


def about(
    where: machine.Machine, scale: Scale, quick: bool, memory: speed.MemorySpeed
) -> dict[str, Any]:
    """Return what there is to say about a measurement."""
    return {
        "system": where.name,
        "versions": versions(where, COMPARED),
        "web versions": versions(where, pages.COMPARED),
        "pinning": where.pinning,
        "memory": f"before: {memory}; after: {speed.measure()}",
        "quick": quick,
        "rounds": scale.starts * scale.rounds,
    }


def compare(
    binaries: build.Binaries, options: argparse.Namespace, want: Callable[[str], bool]
) -> None:
    """Compare with the package of a commit."""
    commit, scale = options.against, ScaleAgainst(options.quick)
    folder, memory = packages.ensure("bench"), speed.measure()
    with machine.windows(folder) as where:
        print(where.pinning, flush=True)
        tables = against.measure(where, folder, binaries, commit, scale, want)
        said = {**about(where, scale, options.quick, memory), "against": commit}
    print(*against.lines(tables, commit), f"memory, {said['memory']}", sep="\n")
    if options.output:
        results = {"about": said, "tables": {table.key: table.as_json() for table in tables}}
        options.output.write_text(json.dumps(results, indent=1, ensure_ascii=False), "utf-8")


def compare_with_all(
    binaries: build.Binaries, options: argparse.Namespace, want: Callable[[str], bool]
) -> None:
    """Compare with everybody, and write all that the documentation has of it."""
    scale, folder = Scale(options.quick), packages.ensure("bench")
    memory = speed.measure()
    whole = not (options.quick or options.only)
    output = options.output or (summary.OUTPUT if whole else None)
    http_load = build.build_http_load(binaries.load.parent) if pages.wanted(want) else None
    with machine.windows(folder) as where:
        print(where.pinning, flush=True)
        tables = everybody.measure(where, folder, binaries, scale, want)
        said = about(where, scale, options.quick, memory)
        print(f"memory, {said['memory']}")
        if output:
            output.mkdir(parents=True, exist_ok=True)
        web = pages.measure(where, http_load, scale, want, output) if http_load else []
        if whole or "where" in options.only:
            measure_shares(where, binaries.load, output)
    growths = everybody.grow(folder, binaries, scale) if whole or "growth" in options.only else []
    print(*summary.as_text(tables), sep="\n")
    if output:
        everybody.write(output, said, tables, web, growths)
        if web:
            pages.write(output, said, web)
        print(f"results in {os.path.relpath(output)}")
    if whole or "cores" in options.only:
        cores.measure_all(binaries.client, cores.ROUNDS, cores.SECONDS, output)


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", action="append", default=[], help="tables that begin like this")
    parser.add_argument("--replot", action="store_true", help="draw the plots again, no more")
    parser.add_argument("--against", metavar="COMMIT", help="compare with its package alone")
    parser.add_argument(
        "--output", type=Path, help="a folder; with --against, a JSON file to be written"
    )
    options = parser.parse_args()
    if options.replot:
        plots.draw(options.output or summary.OUTPUT)
        return
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]

    def want(key: str) -> bool:
        return not options.only or any(key.startswith(each) for each in options.only)

    begin, busy = time.monotonic(), machine.Others()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        binaries = build.build(Path(scratch))
        (compare if options.against else compare_with_all)(binaries, options, want)
    seconds = time.monotonic() - begin
    print(
        f"{seconds:.0f} s; other programs used {busy.seconds() / seconds:.2f} processors meanwhile"
    )


if __name__ == "__main__":
    main()
