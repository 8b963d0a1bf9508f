"""Runs pytest on a copy of the repository, in a process that begins with what takes long to import.

Such a process is forked, where the system can do that, from one that has imported it already.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from .mutation import NotApplicableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OPTIONS = (
    *("-q", "-x", "--tb=no", "-p", "no:cacheprovider"),
    *("-p", "tests.mutants.plugin", "--hypothesis-profile=mutants"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what has been imported already
)

if sys.platform == "win32":
    context = multiprocessing.get_context("spawn")
else:
    context = multiprocessing.get_context("forkserver")
    # None of it is ours, for each process is to import that from its own copy.
    context.set_forkserver_preload(
        ["cffi", "hypothesis.stateful", "OpenSSL", "psutil", "pytest", "trio.testing", "trustme"]
    )


class Result(NamedTuple):
    """What became of a run.

    Attributes:
      caught: whether a test failed or hung.
      how: which, or what happened otherwise.
    """

    caught: bool
    how: str


def run_tests(copy: Path, tests: Iterable[str], hang: float) -> Result:
    """Run tests on a copy of the repository.

    Raises:
      NotApplicableError: they could not be run.
    """
    log = copy / "log.txt"
    deadline = 4 * hang
    process = context.Process(target=_work, args=(copy, log, list(tests), hang))
    process.start()
    process.join(deadline)
    if process.is_alive():
        process.kill()
        process.join()
        return Result(True, f"still running after {deadline:.0f} s")
    output = log.read_text(encoding="utf-8", errors="replace")
    if "during collection" in output or process.exitcode in (4, 5):
        raise NotApplicableError(f"the tests cannot run\n{output}")
    if not process.exitcode:
        return Result(False, "")
    failure = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", output, re.MULTILINE)
    return Result(True, failure[1] if failure else f"pytest ended with {process.exitcode}")


def _work(copy: Path, log: Path, tests: list[str], hang: float) -> None:
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(copy)
    # For programs that tests start, too; the package itself may be installed.
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    for name in list(sys.modules):
        if name.partition(".")[0] == "tests":
            del sys.modules[name]

    import pytest

    sys.exit(pytest.main([*OPTIONS, "-o", f"faulthandler_timeout={hang}", *tests]))
