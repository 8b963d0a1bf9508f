"""One run of Trio's tests in a Windows Python, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tools.children import WINDOWS_PYTHON, child

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

#: Of the package `trio._tests`: whatever receives from a socket or builds on what does.
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

# As Trio runs them.
SETTINGS = """\
[pytest]
xfail_strict = true
filterwarnings = error
faulthandler_timeout = 60
faulthandler_exit_on_timeout = true
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


@dataclass
class Run:
    """The outcomes of a run."""

    name: str
    #: The exit status; 0 or 1 if pytest came to its end.
    status: int = 0
    #: Of each test, a pytest word for how it ended.
    outcomes: dict[str, str] = field(default_factory=dict)
    #: Of each test that did not pass, the last line of why.
    messages: dict[str, str] = field(default_factory=dict)
    #: The package's statistics at the end; empty if the run did not get that far.
    statistics: dict[str, int] = field(default_factory=dict)
    #: What pytest printed.
    log: str = ""

    def outcome(self, test: str) -> str:
        return self.outcomes.get(test, NOT_RUN)


class SuiteRun:
    """A run under way."""

    def __init__(self, name: str, process: subprocess.Popen[str], folder: Path) -> None:
        self._name = name
        self._process = process
        self._folder = folder

    def wait(self) -> Run:
        """Wait for the end, and read what there is of the outcomes then."""
        run = Run(self._name)
        run.status = self._process.wait()
        run.log = (self._folder / "log").read_text("utf-8", "replace")
        outcomes = self._folder / "outcomes"
        for line in outcomes.read_text("ascii").splitlines() if outcomes.exists() else ():
            value = json.loads(line)
            if isinstance(value, dict):
                run.statistics = value
            else:
                test, outcome, message = value
                run.outcomes[test] = outcome
                run.messages[test] = message
        return run


@contextmanager
def started(name: str, only: Collection[str], *extra: str) -> Iterator[SuiteRun]:
    """Start a run of some tests, or of all; it ends with this block."""
    options = [*extra]
    options += [option for plugin in PLUGINS for option in ("-p", plugin)]
    options += ["-c", "pytest.ini", "--rootdir=.", "--run-slow", "--outcomes=outcomes"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        folder = Path(path)
        (folder / "pytest.ini").write_text(SETTINGS)
        if only:
            (folder / "only").write_text(json.dumps(sorted(only)))
            options.append("--only=only")
        modules = [f"trio._tests.{module}" for module in MODULES]
        command = [*WINDOWS_PYTHON, "-m", "pytest", *options, "--pyargs", *modules]
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
            yield SuiteRun(name, process, folder)
