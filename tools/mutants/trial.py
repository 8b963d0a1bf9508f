"""Runs the fast tests on a copy of the repository, in a process of their own for each mutant.

Such a process is forked from one that has imported what takes long.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import covering

if TYPE_CHECKING:
    from collections.abc import Sequence

assert sys.platform != "win32"

REPOSITORY = Path(__file__).resolve().parents[2]
OPTIONS = (
    *("-q", "-x", "--tb=line", "-p", "no:cacheprovider"),
    *("-p", "tools.mutants.plugin", "--hypothesis-profile=mutants"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what has been imported already
)
HANG = 30  # seconds after which a test is taken to hang, where no Trio deadline can reach it
DEADLINE = 120.0  # seconds for each stage of the tests of a mutant
MEASURING = 900.0  # seconds for all tests, measured
MEMORY = 8 << 30  # bytes of address space, for a mutant may ask for more than there is

context = multiprocessing.get_context("forkserver")
# None of it is ours, for each process is to import that from its own copy.
context.set_forkserver_preload(
    ["cffi", "hypothesis.stateful", "OpenSSL", "psutil", "pytest", "trio.testing", "trustme"]
)


class Outcome(NamedTuple):
    """What became of a run of the tests."""

    killed: bool
    how: str


def copy_repository(target: Path) -> None:
    """Copy what the tests need."""
    for name in ("trio_wsarecv", "tests", "tools", "docs/examples"):
        ignored = shutil.ignore_patterns(".*", "apps")
        shutil.copytree(REPOSITORY / name, target / name, ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", target)


def run_tests(copy: Path, stages: Sequence[Sequence[str]]) -> Outcome:
    """Run tests on a copy of the repository, one stage after the other until one fails."""
    for tests in filter(None, stages):
        outcome = _run_stage(copy, tests, DEADLINE)
        if outcome.killed:
            return outcome
    return Outcome(False, "")


def measure_tests(copy: Path, tests: Sequence[str]) -> Outcome:
    """Run tests on a copy as it is, for `covering.Covering`."""
    return _run_stage(copy, tests, MEASURING, measured=True)


def _run_stage(
    copy: Path, tests: Sequence[str], deadline: float, *, measured: bool = False
) -> Outcome:
    log = copy / "log.txt"
    process = context.Process(target=_work, args=(copy, log, list(tests), measured))
    process.start()
    process.join(deadline)
    if process.is_alive():
        process.kill()
        process.join()
        return Outcome(True, f"still running after {deadline:.0f} s")
    if not process.exitcode:
        return Outcome(False, "")
    output = log.read_text(encoding="utf-8", errors="replace")
    failure = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", output, re.MULTILINE)
    return Outcome(True, failure[1] if failure else output.strip().rpartition("\n")[2])


def try_source(copy: Path, module: str, source: str, stages: Sequence[Sequence[str]]) -> Outcome:
    """Run tests on a copy with another source of one module, and put the old one back."""
    path = copy / "trio_wsarecv" / module
    original = path.read_text(encoding="utf-8")
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()  # it is told from another only by size and time
    path.write_text(source, encoding="utf-8")
    try:
        return run_tests(copy, stages)
    finally:
        path.write_text(original, encoding="utf-8")


def _work(copy: Path, log: Path, tests: list[str], measured: bool) -> None:
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(copy)
    # For programs that tests start, too; the package itself may be installed.
    os.environ.update(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1")
    sys.path.insert(0, str(copy))
    for name in list(sys.modules):
        if name.partition(".")[0] in ("tests", "tools"):
            del sys.modules[name]
    sys.dont_write_bytecode = (copy / "tried").exists()

    import pytest

    options = [*OPTIONS, "-o", f"faulthandler_timeout={HANG}", *tests]
    run = partial(pytest.main, options)
    sys.exit(covering.measure(copy, run) if measured else run())
