"""This work tree's package and that of another commit, side by side, in one run.

Both do the same works by the same programs, those of the work tree.  Each package is in a folder
of its own, and what was imported is checked.  Two processes of one program differ by a few per
cent for as long as they run, so all are started anew a few times.
"""

from __future__ import annotations

import io
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import cancelling, memory, rounds
from .machine import windows_path
from .processes import REPOSITORY, ProcessError
from .subjects import OURS, RUN, STOCK, Subject, started, subjects
from .table import digits
from .works import BURSTS, IDLE, WORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .machine import Machine
    from .scale import Scale
    from .table import Table

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


def pairs_of(where: Machine, raw: Path, folders: Mapping[str, Path]) -> list[Subject]:
    """Return every program twice, once with each of the packages."""
    return [
        subject._replace(name=name_of(subject.name, side))
        for side, folder in folders.items()
        for subject in subjects(where.with_package(folder), raw)
        if subject.name in PROGRAMS
    ]


def measure(
    where: Machine, folder: Path, raw: Path, commit: str, scale: Scale, want: Callable[[str], bool]
) -> list[Table]:
    """Do all works with both packages, and return the tables."""
    tables: dict[str, Table] = {}

    def add(*new: Table) -> None:
        for table in new:
            known = tables.setdefault(table.key, table)
            if known is not table:
                for name, figures in table.rows.items():
                    known.add(name, *figures)

    works = [
        replace(work, base=name_of(OURS, OLD))
        for work in WORKS
        if want(work.key) and work.base == STOCK and not work.needs_machine
    ]
    with packages(commit) as folders:
        for start in range(scale.starts):
            pairs = pairs_of(where, raw, folders)
            print(f"processes started, {start + 1} of {scale.starts} times", flush=True)
            with started(pairs if start % 2 else reversed(pairs)) as children:
                for subject in pairs:
                    expected = windows_path(subject.machine.folder / PACKAGE / "__init__.py")
                    found = children[subject.name].answer("package").strip()
                    if found.lower() != expected.lower():
                        raise ProcessError(f"{subject.name}: imported {found}, not {expected}")
                for work in works:
                    add(*rounds.measure(children, work, where.server, scale.rounds, scale.seconds))
                if want("cancel"):
                    add(cancelling.measure(children, scale.cancelled[0], scale.rounds))
        names = [subject.name for subject in pairs]
        for work in (IDLE, *BURSTS):
            if want(work.key):
                print(f"memory, {work.key}", flush=True)
                cast = lambda own: pairs_of(own, raw, folders)  # noqa: E731
                add(memory.measure(folder, cast, names, work, scale.bursts))
    return list(tables.values())


def lines(tables: Iterable[Table], commit: str) -> list[str]:
    """Return both packages' medians, and the ratios, as text."""
    result = [
        f"{NEW}: the work tree; {OLD}: {commit}; spread: the middle half of the rounds",
        f"  {'':28}{'':5}{NEW:>10}{OLD:>10} {'':7}{'new/old':>9}   {'spread':>13}  {'rounds':>6}",
    ]
    for table in tables:
        for program, short in PROGRAMS.items():
            new, old = (name_of(program, side) for side in (NEW, OLD))
            medians = (digits(table.row(name).median) for name in (new, old))
            ratios = table.ratios(new, old)
            low, _, high = statistics.quantiles(ratios, n=4) if ratios[1:] else 3 * [*ratios]
            result.append(
                f"  {table.key:28}{short:5}"
                + "".join(f"{median:>10}" for median in medians)
                + f" {table.figure.unit:6}{table.figure.arrow}{statistics.median(ratios):>9.3f}"
                f"   {low:>5.3f} – {high:>5.3f}  {len(ratios):>6}"
            )
    return result
