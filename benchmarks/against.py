"""The package of the work tree and that of another commit, side by side, in one run.

Both do the same works by the same programs, those of the work tree.  Each package is in a folder of
its own, and it is checked which one a program has imported.  Two processes of one program differ by
a few per cent for as long as they run, so all are started anew a few times.
"""

from __future__ import annotations

import io
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from . import machine, rounds, waiting
from .names import OURS, RUN, STOCK
from .plan import Plan
from .processes import REPOSITORY, ProcessError
from .subjects import started, subjects
from .table import Table, digits
from .works import WORKS

PACKAGE: Final = "trio_wsarecv"
NEW: Final = "new"
OLD: Final = "old"
PROGRAMS: Final = {OURS: "API", RUN: "run"}


@contextmanager
def packages(commit: str) -> Iterator[dict[str, Path]]:
    """Give two folders, one with the work tree's package and one with the commit's."""
    with tempfile.TemporaryDirectory(prefix="bench-packages-") as folder:
        folders = {side: Path(folder, side) for side in (NEW, OLD)}
        no_cache = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / PACKAGE, folders[NEW] / PACKAGE, ignore=no_cache)
        command = ["git", "-C", str(REPOSITORY), "archive", "--format=tar", commit, PACKAGE]
        archive = subprocess.run(command, stdout=subprocess.PIPE)
        if archive.returncode:
            sys.exit(f"bench: cannot get {PACKAGE} of {commit}")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folders[OLD], filter="data")
        yield folders


def name_of(program: str, side: str) -> str:
    return f"{PROGRAMS[program]}, {side}"


def measure(where: machine.Machine, folders: Mapping[str, Path], plan: Plan) -> Iterator[Table]:
    """Do all works with both packages; give each table as often as the processes are started."""
    raw, _, scale, want = plan
    pairs = [
        subject._replace(name=name_of(subject.name, side))
        for side, folder in folders.items()
        for subject in subjects(where.with_package(folder), raw)
        if subject.name in PROGRAMS
    ]
    for start in range(scale.starts):
        with started(pairs if start % 2 else reversed(pairs)) as children:
            for subject in pairs:
                package = machine.windows_path(subject.machine.folder / PACKAGE / "__init__.py")
                found = children[subject.name].answer("package")
                if found.lower() != package.lower():
                    raise ProcessError(f"{subject.name}: imported {found}, not {package}")
            for work in WORKS:
                if want(work.key) and work.base == STOCK and not work.needs_machine:
                    own = replace(work, base=name_of(OURS, OLD))
                    how = (where.server, scale.rounds, scale.seconds)
                    yield from rounds.measure(children, own, *how)
            if want("cancel"):
                yield waiting.cancel(children, scale.cancelled[0], scale.rounds)


def compare(commit: str, plan: Plan) -> None:
    """Print both packages' medians, and the ratios."""
    tables: dict[str, Table] = {}
    with packages(commit) as folders, machine.windows(plan.packages) as where:
        for table in measure(where, folders, plan):
            print(table.key, flush=True)
            known = tables.setdefault(table.key, table)
            for name in table.rows if known is not table else ():
                known.add(name, *table.rows[name])
    print(f"{NEW}: the work tree; {OLD}: {commit}; spread: the middle half of the rounds")
    for table in tables.values():
        for program, short in PROGRAMS.items():
            new, old = (name_of(program, side) for side in (NEW, OLD))
            ratios = [*table.ratios(new, old)]
            low, _, high = statistics.quantiles(ratios, n=4) if ratios[1:] else 3 * ratios
            medians = [digits(table.row(name).median) for name in (new, old)]
            print(
                f"  {table.key:28}{short:5}{medians[0]:>9}{medians[1]:>9} {table.figure.unit:6}"
                f"{table.figure.arrow}{statistics.median(ratios):>8.3f}"
                f"   {low:>5.3f} – {high:>5.3f}  {len(ratios):>4} rounds"
            )
