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
from .machine import REPOSITORY, windows_path
from .processes import ProcessError
from .subjects import OURS, RUN, Subject, started, subjects
from .table import Tables
from .works import BURSTS, IDLE, WORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .build import Binaries
    from .machine import Machine
    from .processes import Child
    from .scale import ScaleAgainst
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


def check(subject: Subject, child: Child) -> None:
    """See that a subject has imported the package that it is to be measured with."""
    expected = windows_path(subject.folder / PACKAGE / "__init__.py")
    found = child.answer("package").strip()
    if found.lower() != expected.lower():
        raise ProcessError(f"{subject.name}: imported {found}, not {expected}")


def pairs_of(where: Machine, binaries: Binaries, folders: Mapping[str, Path]) -> list[Subject]:
    """Return every program twice, once with each of the packages."""
    return [
        replace(subject, name=name_of(subject.name, side))
        for program in PROGRAMS
        for side, folder in folders.items()
        for subject in subjects(where.with_package(folder), binaries)
        if subject.name == program
    ]


def measure(
    where: Machine,
    folder: Path,
    binaries: Binaries,
    commit: str,
    scale: ScaleAgainst,
    want: Callable[[str], bool],
) -> list[Table]:
    """Do all works with both packages, and return the tables."""
    tables = Tables()
    works = [work for work in WORKS if want(work.key)]
    with packages(commit) as folders:
        pairs = pairs_of(where, binaries, folders)
        for start in range(scale.starts if works or want("cancel") else 1):
            print(f"processes started, {start + 1} of {scale.starts} times", flush=True)
            with started(pairs if start % 2 else reversed(pairs)) as children:
                for subject in pairs:
                    check(subject, children[subject.name])
                for work in works:
                    tables.add(
                        *rounds.measure(
                            binaries.load,
                            children,
                            work,
                            where.server,
                            rounds=scale.rounds,
                            seconds=scale.seconds,
                        )
                    )
                if want("cancel"):
                    few, _ = scale.cancelled
                    tables.add(cancelling.measure(binaries.load, children, few, scale.rounds))
        for work in filter(lambda work: want(work.key), (IDLE, *BURSTS)):
            print(f"memory, {work.key}", flush=True)
            tables.add(
                memory.measure(
                    binaries.load,
                    folder,
                    lambda machine: pairs_of(machine, binaries, folders),
                    [subject.name for subject in pairs],
                    work,
                    scale.bursts,
                )
            )
    return list(tables.values())


def lines(tables: Iterable[Table], commit: str) -> list[str]:
    """Return both packages' medians, and the ratios, as text."""
    result = [
        f"{NEW}: the work tree; {OLD}: {commit}; spread: the middle half of the rounds",
        f"  {'':22}{'':5}{NEW:>10}{OLD:>10} {'':7}{'new/old':>9}   {'spread':>13}  {'rounds':>6}",
    ]
    for table in tables:
        arrow = "↑" if table.more_is_better else "↓"
        for program, short in PROGRAMS.items():
            new, old = (name_of(program, side) for side in (NEW, OLD))
            ratios = [a / b for a, b in zip(table.rows[new], table.rows[old], strict=True)]
            low, _, high = statistics.quantiles(ratios, n=4) if ratios[1:] else 3 * ratios
            result.append(
                f"  {table.key:22}{short:5}{table.median(new):>10,.4g}{table.median(old):>10,.4g}"
                f" {table.unit:6}{arrow}{table.ratio(new, old):>9.3f}"
                f"   {low:>5.3f} – {high:>5.3f}  {len(ratios):>6}"
            )
    return result
