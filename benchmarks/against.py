"""The package of the work tree and that of another commit, side by side, in one run.

Both do the same works by the same programs, those of the work tree, and it is checked which package
a program has imported.  Two processes of one program differ by a few per cent for as long as they
run, so all are started anew a few times.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from . import machine, rounds, waiting
from .plan import Plan
from .processes import REPOSITORY, ProcessError
from .subjects import started, subjects
from .table import OURS, RUN, STOCK, Table
from .works import WORKS

PACKAGE: Final = "trio_wsarecv"
NEW: Final = "work tree"


def measure(
    sides: Mapping[str, machine.Machine], program: str, turn: int, plan: Plan
) -> Iterator[Table]:
    """Do all works by a program, with both packages; the ratios are to the first one."""
    base, scale = next(iter(sides)), plan.scale
    cast = [
        subject._replace(name=side)
        for side, where in sides.items()
        for subject in subjects(where, plan.raw)
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
                how = sides[base].server, scale.rounds, scale.seconds
                yield from rounds.measure(children, replace(work, base=base), *how)
        if plan.want("cancel"):
            yield replace(waiting.cancel(children, scale.cancelled[0], scale.rounds), base=base)


def compare(commit: str, plan: Plan) -> None:
    """Print the figures of both packages, and the ratios."""
    tables: dict[tuple[str, str], Table] = {}
    with tempfile.TemporaryDirectory(prefix="bench-package-") as folder:
        archive = Path(folder, "package.tar")
        command = ["git", "archive", f"--output={archive}", commit, PACKAGE]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        shutil.unpack_archive(archive, folder)
        with machine.windows(plan.packages) as where:
            sides = {commit: where.with_package(Path(folder)), NEW: where}
            for turn in range(plan.scale.starts):
                for program in (OURS, RUN):
                    for table in measure(sides, program, turn, plan):
                        print(program, table.key, flush=True)
                        known = tables.setdefault((table.key, program), table)
                        for name in table.rows if known is not table else ():
                            known.add(name, *table.rows[name])
    for (_, program), table in sorted(tables.items()):
        print(f"{program}:", *table.lines(), sep="\n")
