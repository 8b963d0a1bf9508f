"""Runs Trio's own tests twice in a Windows Python, and compares test by test.

They run on plain Trio and with `patch_trio()`, at the same time, and each test must end alike.  A
few fail both times, because Wine is not Windows; that is no difference.

Some depend on time, above all those that fill a connection under Wine: even on plain Trio they
sometimes fail.  So tests that end differently are run again, both ways.  It is no difference if
plain Trio then ends one as `patch_trio()` did, or if they always end alike then.  The output names
these tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.children import SET_UP, WINDOWS_PYTHON, child, end_on_termination

if TYPE_CHECKING:
    from collections.abc import Collection

#: Modules of `trio._tests` that receive from sockets, or use something that does.
MODULES = (
    *("test_socket", "test_ssl", "test_dtls", "test_fakenet", "test_testing", "test_windows_pipes"),
    *("test_highlevel_generic", "test_highlevel_socket", "test_highlevel_open_tcp_listeners"),
    *("test_highlevel_open_tcp_stream", "test_highlevel_open_unix_stream"),
    *("test_highlevel_serve_listeners", "test_highlevel_ssl_helpers"),
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
    *("trio._tests.pytest_plugin", "tools.trio_suite.plugin"),
    *("no:cacheprovider", "no:hypothesispytest", "no:trio"),
)
VERSIONS = """\
import sys, trio
print("Python", sys.version, "on", sys.platform, "with Trio", trio.__version__, flush=True)
"""
DEADLINE = 400.0
REPEATS = 8
#: More tests than this cannot all depend on time.
REPEATABLE = 5


class Run(NamedTuple):
    """A run that has ended: of each test how it ended, and why if it did not pass."""

    name: str
    outcomes: dict[str, tuple[str, str]]
    statistics: dict[str, int]
    log: str

    def outcome(self, test: str) -> str:
        """Return a word of pytest's, or for a test that did not run a text unlike any other."""
        return self.outcomes.get(test, (f"did not run {self.name}", ""))[0]


def main() -> int:
    end_on_termination()
    with child([*WINDOWS_PYTHON, "-c", VERSIONS], SET_UP) as process:
        if process.wait() != 0:
            return 1
    plain, patched = run_both([f"trio._tests.{module}" for module in MODULES])
    for run in (plain, patched):
        # Not in pytest's format, for these are not our tests.
        counter = Counter(outcome for outcome, _ in run.outcomes.values())
        print(f"{run.name}:", dict(counter), run.statistics)
        for count in ("overlapped_sockets", "wsarecv_calls"):
            if bool(run.statistics[count]) != (run is patched):
                return 1
    tests = plain.outcomes.keys() | patched.outcomes.keys()
    different = {test for test in tests if plain.outcome(test) != patched.outcome(test)}
    failed = {test for test in tests - different if plain.outcome(test) == "failed"}
    show("failed both times", failed, plain, patched)
    show("ended differently", different, plain, patched)
    if len(different) > REPEATABLE:
        print(quoted(patched.log))
    else:
        different = check_again(different, patched)
    print(
        f"Trio's own tests, {patched.name} against {plain.name}: {len(tests)} compared, "
        f"{len(tests) - len(different)} end alike, {len(different)} differ"
    )
    return 1 if different else 0


def check_again(tests: set[str], first: Run) -> set[str]:
    """Run tests again that ended differently, and return those that still do."""
    repeated = set[str]()
    for attempt in range(1, REPEATS + 1):
        if not tests:
            break
        plain, patched = run_both(tests)
        show(f"once more, {attempt} of at most {REPEATS} times", tests, plain, patched)
        tests = {test for test in tests if plain.outcome(test) != first.outcome(test)}
        differ = {test for test in tests if plain.outcome(test) != patched.outcome(test)}
        if differ:
            print(quoted(patched.log))
        repeated |= differ
    return tests & repeated


def run_both(tests: Collection[str]) -> tuple[Run, Run]:
    """Run tests on plain Trio and with `patch_trio()`, at the same time."""
    options = ["-c", "pytest.ini", "--rootdir=.", "--run-slow"]
    options += [option for plugin in PLUGINS for option in ("-p", plugin)]
    with ExitStack() as stack:
        started = []
        for extra in ([], ["--patched"]):
            path = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(path))
            (folder / "pytest.ini").write_text(SETTINGS)
            process = child(
                [*WINDOWS_PYTHON, "-m", "pytest", *options, *extra, "--pyargs", *sorted(tests)],
                DEADLINE,
                cwd=folder,
                env={**os.environ, "PYTEST_ADDOPTS": ""},
                stdout=stack.enter_context((folder / "log").open("wb")),
                stderr=subprocess.STDOUT,
            )
            started.append((folder, stack.enter_context(process)))
        (one, plain), (other, patched) = started
        return finish("plain Trio", one, plain), finish("with patch_trio()", other, patched)


def finish(name: str, folder: Path, process: subprocess.Popen[str]) -> Run:
    """Wait for the end of a run."""
    status = process.wait()
    log = (folder / "log").read_text("utf-8", "replace")
    file = folder / "outcomes.json"
    if status not in (0, 1) or not file.exists():
        sys.exit(f"{name}: status {status}\n{quoted(log)}")
    outcomes, statistics = json.loads(file.read_text())
    return Run(name, outcomes, statistics, log)


def quoted(log: str) -> str:
    """Indent what pytest printed, to distinguish it from the results of our own tests."""
    return textwrap.indent(log, "  | ", lambda line: True)


def show(title: str, tests: Collection[str], *runs: Run) -> None:
    for test in sorted(tests):
        print(f"{title}: {test}")
        for run in runs:
            print(f"    {run.name}:", *run.outcomes.get(test, [run.outcome(test)]))


if __name__ == "__main__":
    sys.exit(main())
