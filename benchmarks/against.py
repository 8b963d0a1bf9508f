"""The package of the work tree and that of another commit, side by side, in one run.

Both do the same works by the same programs, those of the work tree.  Each package is in a folder of
its own, and it is checked which one a program has imported.  Two processes of one program differ by
a few per cent for as long as they run, so all are started anew a few times.
"""

from __future__ import annotations

import io
import shutil
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
from .table import Table
from .works import WORKS

PACKAGE: Final = "trio_wsarecv"
NEW: Final = "work tree"


@contextmanager
def packages(commit: str) -> Iterator[dict[str, Path]]:
    """Give two folders, one with the work tree's package and one with the commit's."""
    with tempfile.TemporaryDirectory(prefix="bench-packages-") as folder:
        new, old = Path(folder, "new"), Path(folder, "old")
        no_cache = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / PACKAGE, new / PACKAGE, ignore=no_cache)
        command = ["git", "-C", str(REPOSITORY), "archive", "--format=tar", commit, PACKAGE]
        archive = subprocess.run(command, stdout=subprocess.PIPE)
        if archive.returncode:
            sys.exit(f"bench: cannot get {PACKAGE} of {commit}")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(old, filter="data")
        yield {commit: old, NEW: new}


def measure(
    where: machine.Machine, folders: Mapping[str, Path], program: str, turn: int, plan: Plan
) -> Iterator[Table]:
    """Do all works by a program, with both packages."""
    base, scale = next(iter(folders)), plan.scale
    cast = [
        subject._replace(name=side)
        for side, folder in folders.items()
        for subject in subjects(where.with_package(folder), plan.raw)
        if subject.name == program
    ]
    with started(cast if turn % 2 else reversed(cast)) as children:
        for subject in cast:
            package = machine.windows_path(subject.machine.folder / PACKAGE / "__init__.py")
            found = children[subject.name].answer("package")
            if found.lower() != package.lower():
                raise ProcessError(f"{subject.name}: imported {found}, not {package}")
        for work in WORKS:
            if plan.want(work.key) and work.base == STOCK and not work.needs_machine:
                how = where.server, scale.rounds, scale.seconds
                yield from rounds.measure(children, replace(work, base=base), *how)
        if plan.want("cancel"):
            yield replace(waiting.cancel(children, scale.cancelled[0], scale.rounds), base=base)


def compare(commit: str, plan: Plan) -> None:
    """Print the figures of both packages, and the ratios."""
    tables: dict[tuple[str, str], Table] = {}
    with packages(commit) as folders, machine.windows(plan.packages) as where:
        for turn in range(plan.scale.starts):
            for program in (OURS, RUN):
                for table in measure(where, folders, program, turn, plan):
                    print(program, table.key, flush=True)
                    known = tables.setdefault((table.key, program), table)
                    for name in table.rows if known is not table else ():
                        known.add(name, *table.rows[name])
    for (_, program), table in sorted(tables.items()):
        print(f"{program}:", *table.lines(), sep="\n")
