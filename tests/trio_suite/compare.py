"""Runs Trio's own tests twice in a Windows Python, and compares test by test.

Once on plain Trio and once with `patch_trio()`, at the same time.  Each test must end alike.  A
few fail both times, for Wine is not Windows; that is no difference.  A test that ends differently
is run again both ways, for some depend on time; the output names those that agreed then.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.children import WINDOWS_PYTHON, child

from .suite import Run, started

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

SET_UP_DEADLINE = 900.0
DEADLINE = 240.0
REPEATS = 2

#: Tests that may end differently, each with the reason.
EXPECTED_DIFFERENCES: dict[str, str] = {}

PLAIN = "plain Trio"
PATCHED = "with patch_trio()"
VERSIONS = """\
import sys, trio
print("Python", sys.version, "on", sys.platform, "with Trio", trio.__version__, flush=True)
"""


def main() -> int:
    with child([*WINDOWS_PYTHON, "-c", VERSIONS]) as process:
        if process.wait(SET_UP_DEADLINE) != 0:
            return 1
    begin = time.monotonic()
    plain, patched = run_both()
    for run in (plain, patched):
        print(f"{run.name + ':':20}{counts(run)}")
    print(f"{time.monotonic() - begin:.0f} s; {receives(patched)}")
    if problems := [*defects(plain, overlapped=False), *defects(patched, overlapped=True)]:
        print(*problems, sep="\n")
        return 1
    show_failures(plain, patched)

    tests = plain.outcomes.keys() | patched.outcomes.keys()
    different = differing(tests, plain, patched)
    for attempt in range(REPEATS):
        if not different:
            break
        show(different, plain, patched)
        print(f"once more, {attempt + 1} of {REPEATS}, both ways:")
        plain, patched = run_both(different)
        repeated, different = different, differing(different, plain, patched)
        for test in sorted(repeated - different):
            print(f"  agreed this time: {test}: {plain.outcomes[test]}")
    show(different, plain, patched)
    if different:
        print(f"{PATCHED}, pytest said:\n{patched.log}")

    print(
        f"Trio's own tests, {PATCHED} against {PLAIN}: {len(tests)} compared, "
        f"{len(tests) - len(different)} end alike, {len(different)} differ"
    )
    return 1 if different else 0


def run_both(only: Collection[str] = ()) -> tuple[Run, Run]:
    until = time.monotonic() + DEADLINE
    with started(PLAIN, only) as plain, started(PATCHED, only, "--patched") as patched:
        return plain.wait(until - time.monotonic()), patched.wait(until - time.monotonic())


def counts(run: Run) -> str:
    """Say how the tests ended, not in pytest's words: these are no results of this project's."""
    counter = Counter(run.outcomes.values())
    return ", ".join(f"{outcome} {number}" for outcome, number in sorted(counter.items()))


def receives(run: Run) -> str:
    get = run.statistics.get
    return (
        f"overlapped receives: {get('wsarecv_calls')} on {get('overlapped_sockets')} sockets, "
        f"{get('immediate')} completed at once, {get('pended')} pended, "
        f"{get('cancelled')} were cancelled"
    )


def defects(run: Run, *, overlapped: bool) -> Iterator[str]:
    """Say why a run is none that could be compared."""
    if not run.outcomes or not run.statistics or run.status not in (0, 1):
        last = next(reversed(run.outcomes), "no test")
        yield f"{run.name}: status {run.status} after {last}\n{run.log}"
    elif overlapped != (run.statistics["overlapped_sockets"] > 0):
        yield f"{run.name}: {'no' if overlapped else 'an'} overlapped receive"


def differing(tests: Iterable[str], plain: Run, patched: Run) -> set[str]:
    return {
        test
        for test in tests
        if plain.outcomes.get(test) != patched.outcomes.get(test)
        and test not in EXPECTED_DIFFERENCES
    }


def show(tests: Collection[str], plain: Run, patched: Run) -> None:
    for test in sorted(tests):
        print(f"different: {test}")
        for run in (plain, patched):
            print(f"  {run.name}: {run.outcomes.get(test, 'did not run')}", end="")
            print(f": {message}" if (message := run.messages.get(test)) else "")


def show_failures(plain: Run, patched: Run) -> None:
    for test, outcome in plain.outcomes.items():
        if outcome == patched.outcomes.get(test) and outcome in ("failed", "error", "xpassed"):
            print(f"{outcome} both times: {test}: {plain.messages[test]}")
            if patched.messages[test] != plain.messages[test]:
                print(f"  {PATCHED}: {patched.messages[test]}")


if __name__ == "__main__":
    sys.exit(main())
