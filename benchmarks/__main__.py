"""Measures trio_wsarecv beside Trio, asyncio, winloop and C: ``python -m benchmarks``.

A whole run measures everything twice, which takes about 13 minutes on two processors, and writes
what ``docs/benchmarks`` has, the results and the plots, and the figures in README.  A part of it,
or a quick run, measures once, and writes to the folder that ``--output`` names, if any.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from . import figures, machine, plots, profiles, results, rounds, web
from .machine import REPOSITORY, SCRATCH, Machine, ProcessError, windows_path
from .results import OURS, RUN, STOCK, Results, Table
from .works import IDLE, STOCK_DATAGRAMS, TRIO, WORKS, started

if sys.platform == "linux":
    from . import own_share

RUNS: Final = 2
ROUNDS: Final = 10  # many short ones: a virtual machine's speed changes every second or so
VERSIONS: Final = """
import importlib.metadata, platform, sys
versions = [f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]]
print("bench versions", ", ".join([f"CPython {platform.python_version()}", *versions]))
"""
COMPARED: Final = ("trio", "cffi", "winloop", "hypercorn", "uvicorn", "h11")

Only: TypeAlias = tuple[str, ...]  # prefixes of the keys of the wanted tables


def on_windows(where: Machine, only: Only, share: int) -> Iterator[Table]:
    """Measure everything that is wanted on Windows; a fifth of it if the share is 5."""
    turns = ROUNDS // share
    works = [work for work in WORKS if work.key.startswith(only)]
    if "calls".startswith(only):
        yield from profiles.count(where, 50 // share)
    for base in (STOCK, STOCK_DATAGRAMS):
        together = [w for w in works if w.subjects[0] == base and not w.needs_machine]
        yield from rounds.measure_all(where, together, turns)
    for work in works:
        if work.needs_machine:
            with machine.windows() as own:
                yield from rounds.measure_all(own, [work], turns)
    if "cancel".startswith(only):
        with started(where, TRIO) as children:
            for count in (500, 2000):
                yield rounds.cancel(children, count // share, turns)
    for work in IDLE:
        if work.key.startswith(only):
            yield rounds.memory(work, (500 if work.load == "burst" else 2000) // share)
    if sys.platform == "linux":  # where wrk is
        for scheme in ("http", "https"):
            if scheme.startswith(only):
                yield from web.measure(where, scheme, max(1, 3 // share))
        if "where".startswith(only):
            yield from profiles.times(where)


def everywhere(about: list[str], only: Only, share: int) -> Iterator[Table]:
    """Measure the same, and what needs no Windows; add what is measured, and how."""
    with machine.windows() as where:
        child = where.start(where.python("-c", VERSIONS, *COMPARED))
        versions = child.answer("versions")
        child.finish()
        quick = ", of a quick run" if share > 1 else ""
        rounds = f"{ROUNDS // share} alternating rounds{quick}"
        about.append(f"Measured on {where.name}, {versions}; {rounds}; {where.pinning}.")
        print(about[-1])
        yield from on_windows(where, only, share)
    if sys.platform == "linux":
        if "own".startswith(only):
            yield from own_share.measure()
        if "cores".startswith(only):
            yield from web.measure_workers()


def compare(commit: str, only: Only) -> None:
    """Print the figures of a commit's package and of this one side by side, and the ratios.

    Both do the same works by the same programs.  Two processes of one program differ by a few per
    cent for as long as they run, so all are started anew a few times.
    """
    folder, archive = SCRATCH / "package", SCRATCH / "package.tar"
    command = ["git", "archive", f"--output={archive}", commit, "trio_wsarecv"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    shutil.unpack_archive(archive, folder)
    works = [work for work in WORKS if OURS in work.subjects and not work.needs_machine]
    tables: dict[str, Table] = {}
    with machine.windows() as new:
        # What ``python -m`` starts is looked for in the working directory first.
        path = f"{windows_path(folder)};{new.environ['PYTHONPATH']}"
        old = new._replace(environ={**new.environ, "PYTHONPATH": path}, folder=folder)
        for program in 3 * (OURS, RUN):
            with started(old, [program]) as before, started(new, [program]) as after:
                children = {commit: before[program], "work tree": after[program]}
                for where, child in zip((old, new), children.values(), strict=True):
                    package = windows_path(where.folder / "trio_wsarecv" / "__init__.py")
                    if (found := child.answer("package")).lower() != package.lower():
                        raise ProcessError(f"imported {found}, not {package}")
                for work in (work for work in works if work.key.startswith(only)):
                    for table in rounds.measure(children, work, new.server, 15):
                        key, title = f"{table.key} {program}", f"{program}: {table.title}"
                        known = tables.setdefault(key, replace(table, title=title, samples={}))
                        for name, samples in table.samples.items():
                            known.add(name, *samples)
    for _, table in sorted(tables.items()):
        print(*table.lines(), sep="\n")


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
    if options.replot:
        publish(options.output or results.OUTPUT)
        return
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    only = tuple(options.only) or ("",)
    begin = time.monotonic()
    machine.ensure_tools()
    if options.against:
        compare(options.against, only)
        return
    whole = not (options.quick or options.only)
    found = Results()
    for _ in range(RUNS if whole else 1):
        for table in everywhere(found.about, only, 5 if options.quick else 1):
            print(*table.lines(), sep="\n", flush=True)
            found.add(table)
    if output := options.output or (results.OUTPUT if whole else None):
        output.mkdir(parents=True, exist_ok=True)
        found.write(output)
        publish(output)
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
