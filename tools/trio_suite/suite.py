"""One run of Trio's tests in a Windows Python, and its outcomes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from tools.children import WINDOWS_PYTHON, child

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

#: Modules of `trio._tests` that receive from sockets, or use something that does.
MODULES = (
    "test_socket",
    "test_highlevel_generic",
    "test_highlevel_socket",
    "test_highlevel_open_tcp_listeners",
    "test_highlevel_open_tcp_stream",
    "test_highlevel_open_unix_stream",
    "test_highlevel_serve_listeners",
    "test_highlevel_ssl_helpers",
    "test_ssl",
    "test_dtls",
    "test_fakenet",
    "test_testing",
    "test_windows_pipes",
)

# As Trio runs them; this family of JUnit files names the file of each test.
SETTINGS = """\
[pytest]
xfail_strict = true
filterwarnings = error
faulthandler_timeout = 60
faulthandler_exit_on_timeout = true
junit_family = xunit1
"""
PLUGINS = (
    "trio._tests.pytest_plugin",
    "tools.trio_suite.plugin",
    "no:cacheprovider",
    "no:hypothesispytest",
    "no:trio",
)

DEADLINE = 400.0

NOT_RUN = "did not run"
HUNG = "hung"
#: By the element of a JUnit file, a pytest word.
OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}


@dataclass
class Run:
    """A run, and its outcomes after `wait`.

    Attributes:
      status: the exit status; 0 or 1 if pytest ran to its end.
      outcomes: of each test, a pytest word for how it ended, or "hung".
      messages: of each test that did not pass, why.
      statistics: of the package at the end; empty if the run did not get that far.
      log: what pytest printed.
    """

    name: str
    process: subprocess.Popen[str]
    folder: Path
    status: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    statistics: dict[str, int] = field(default_factory=dict)
    log: str = ""

    def wait(self) -> Run:
        """Wait for the end, and read the outcomes."""
        self.status = self.process.wait()
        self.log = (self.folder / "log").read_text("utf-8", "replace")
        outcomes = self.folder / "outcomes.xml"
        if outcomes.exists():
            suite = ElementTree.parse(outcomes)
            for each in suite.iter("property"):
                self.statistics[each.attrib["name"]] = int(each.attrib["value"])
            for case in suite.iter("testcase"):
                self._read(case)
        return self

    def _read(self, case: ElementTree.Element) -> None:
        module = PureWindowsPath(case.attrib["file"]).stem
        test = f"trio._tests.{module}::{case.attrib['name']}"
        self.outcomes.setdefault(test, "passed")
        for each in case:
            if each.tag in OUTCOMES:
                message = each.attrib["message"].partition("\n")[0]
                hung = message.startswith("tools.trio_suite.plugin.Hung")
                self.outcomes[test] = HUNG if hung else OUTCOMES[each.tag]
                self.messages[test] = message

    def outcome(self, test: str) -> str:
        return self.outcomes.get(test, NOT_RUN)


@contextmanager
def started(name: str, only: Collection[str], *extra: str) -> Iterator[Run]:
    """Start a run of some tests, or of all; the end of the block ends it."""
    options = [*extra, "-c", "pytest.ini", "--rootdir=.", "--run-slow", "--junitxml=outcomes.xml"]
    options += [option for plugin in PLUGINS for option in ("-p", plugin)]
    tests = sorted(only) or [f"trio._tests.{module}" for module in MODULES]
    command = [*WINDOWS_PYTHON, "-m", "pytest", *options, "--pyargs", *tests]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        folder = Path(path)
        (folder / "pytest.ini").write_text(SETTINGS)
        with (
            (folder / "log").open("wb") as log,
            child(
                command,
                DEADLINE,
                cwd=folder,
                env={**os.environ, "PYTEST_ADDOPTS": ""},
                stdout=log,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            yield Run(name, process, folder)
