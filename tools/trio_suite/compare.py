"""Runs Trio's own tests twice in a Windows Python, and compares test by test.

They run on plain Trio and with `patch_trio()`, at the same time, and each test must end alike.  A
few fail both times, because Wine is not Windows; that is no difference.

Some depend on time, above all those that fill a connection under Wine: even on plain Trio they
sometimes fail.  So tests that end differently are run again, both ways.  It is no difference if
plain Trio then ends one as `patch_trio()` did, or if they always end alike then.  The output names
these tests.
"""

from __future__ import annotations

import sys
import textwrap
import time
from collections import Counter
from typing import TYPE_CHECKING

from tools.children import SET_UP, WINDOWS_PYTHON, child, end_on_termination

from .suite import HUNG, NOT_RUN, Run, started

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

REPEATS = 8
#: More tests than this cannot all depend on time.
REPEATABLE = 5

#: Tests that may end differently, each with the reason.
EXPECTED_DIFFERENCES: dict[str, str] = {}

FAILURES = ("failed", "error", HUNG)

PLAIN = "plain Trio"
PATCHED = "with patch_trio()"
VERSIONS = """\
import sys, trio
print("Python", sys.version, "on", sys.platform, "with Trio", trio.__version__, flush=True)
"""


def main() -> int:
    end_on_termination()
    with child([*WINDOWS_PYTHON, "-c", VERSIONS], SET_UP) as process:
        if process.wait() != 0:
            return 1
    begin = time.monotonic()
    plain, patched = run_both()
    for run in (plain, patched):
        print(f"{run.name + ':':20}{counts(run)}")
    print(f"{time.monotonic() - begin:.0f} s; {receives(patched)}")
    if problems := [*defects(plain, overlapped=False), *defects(patched, overlapped=True)]:
        print(*problems, sep="\n")
        return 1

    tests = plain.outcomes.keys() | patched.outcomes.keys()
    show_failures(plain, patched)
    different = {test for test in tests if plain.outcome(test) != patched.outcome(test)}
    different -= EXPECTED_DIFFERENCES.keys()
    if different:
        print("These ended differently:")
        show(different, plain, patched)
        different = check_again(different, patched)

    print(
        f"Trio's own tests, {PATCHED} against {PLAIN}: {len(tests)} compared, "
        f"{len(tests) - len(different)} end alike, {len(different)} differ"
    )
    return 1 if different else 0


def check_again(tests: set[str], first: Run) -> set[str]:
    """Run tests again that ended differently, and return those that still do."""
    if len(tests) > REPEATABLE:
        print(quoted(first.log))
        return tests
    open_cases, repeated = set(tests), set[str]()
    patched = first
    for attempt in range(1, REPEATS + 1):
        print(f"once more ({attempt} of at most {REPEATS}):")
        plain, patched = run_both(open_cases)
        show(open_cases, plain, patched)
        for test in sorted(open_cases):
            outcome = plain.outcome(test)
            if outcome == first.outcome(test) != NOT_RUN:
                print(f"  alike, because plain Trio now ends so, too: {test}")
                open_cases.remove(test)
            elif NOT_RUN in (outcome, patched.outcome(test)) or outcome != patched.outcome(test):
                repeated.add(test)
        if not open_cases:
            return open_cases
    for test in sorted(open_cases - repeated):
        print(f"  alike in all {REPEATS} repetitions: {test}")
    if open_cases & repeated:
        print(quoted(patched.log))
    return open_cases & repeated


def run_both(only: Collection[str] = ()) -> tuple[Run, Run]:
    with started(PLAIN, only) as plain, started(PATCHED, only, "--patched") as patched:
        return plain.wait(), patched.wait()


def counts(run: Run) -> str:
    """Count how the tests ended; not in pytest's format, for these are not our tests."""
    counter = Counter(run.outcomes.values())
    return ", ".join(f"{outcome} {number}" for outcome, number in sorted(counter.items()))


def receives(run: Run) -> str:
    get = run.statistics.get
    return (
        f"{run.name}, {get('wsarecv_calls')} calls of WSARecv on {get('overlapped_sockets')} "
        f"sockets; of all receives {get('immediate')} completed at once, {get('pended')} pended, "
        f"{get('cancelled')} were cancelled"
    )


def defects(run: Run, *, overlapped: bool) -> Iterator[str]:
    """Say why a run cannot be compared."""
    statistics = run.statistics
    if not run.outcomes or not statistics or run.status not in (0, 1):
        yield f"{run.name}: status {run.status}\n{quoted(run.log)}"
    elif (
        not overlapped
        == bool(statistics["overlapped_sockets"])
        == bool(statistics["wsarecv_calls"])
    ):
        yield f"{run.name}: {'no' if overlapped else 'an'} overlapped receive"


def quoted(log: str) -> str:
    """Indent what pytest printed, to distinguish it from the results of our own tests."""
    return textwrap.indent(log, "  | ", lambda line: True)


def show(tests: Collection[str], *runs: Run) -> None:
    for test in sorted(tests):
        print(f"  {test}")
        for run in runs:
            print(f"    {run.name}: {run.outcome(test)}", end="")
            print(f": {message}" if (message := run.messages.get(test)) else "")


def show_failures(plain: Run, patched: Run) -> None:
    for test, outcome in plain.outcomes.items():
        if outcome == patched.outcomes.get(test) and outcome in FAILURES:
            print(f"{outcome} both times: {test}: {plain.messages[test]}")
            if patched.messages[test] != plain.messages[test]:
                print(f"  {PATCHED}: {patched.messages[test]}")


if __name__ == "__main__":
    sys.exit(main())
