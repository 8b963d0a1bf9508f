"""Runs the fast tests on each mutant: ``python -m tests.mutants [MODULE or part of a rule…]``.

First of all they run on the engine as it is: where they fail there, they cannot judge a mutant.
A mutant is caught when a test fails or hangs.  The exit status is 1 if one survives, or if a
mutation does not fit the source any more.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .mutation import TESTS, Mutation, NotApplicableError
from .pytest_run import Result, run_tests
from .rules import MUTATIONS

REPOSITORY = Path(__file__).resolve().parents[2]
AT_A_TIME = 2
#: Seconds that a test may take, where Trio's deadlines do not reach; then it hangs.
SHORTEST_HANG, LONGEST_HANG = 20.0, 100.0


def copy_repository(source: Path, target: Path) -> None:
    """Copy what the tests need, what Python has compiled of it included."""
    for name in ("trio_wsarecv", "tests", "docs/examples"):
        shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns(".*"))
    shutil.copy(source / "pyproject.toml", target)


def try_mutation(mutation: Mutation, original: Path, hang: float) -> Result:
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        copy_repository(original, copy)
        mutation.apply(copy / "trio_wsarecv")
        return run_tests(copy, mutation.tests, hang)


def report(mutation: Mutation, original: Path, hang: float) -> bool:
    """Try a mutation, say what became of it, and return whether it was caught."""
    began = time.monotonic()
    try:
        result = try_mutation(mutation, original, hang)
        verdict, detail = ("caught  " if result.caught else "SURVIVED"), result.how
        caught = result.caught
    except NotApplicableError as exc:
        verdict, detail, caught = "INVALID ", str(exc), False
    seconds = time.monotonic() - began
    print(
        f"{verdict} {seconds:5.1f} s  {mutation.module}: {mutation.rule}"
        + (f"\n{'':19}by {detail}" if detail else ""),
        flush=True,
    )
    return caught


def main(words: list[str]) -> int:
    mutations = [
        mutation
        for mutation in MUTATIONS
        if not words or any(word in f"{mutation.module} {mutation.rule}" for word in words)
    ]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        # The tests run there first, so that they are compiled once for all mutants.
        original = Path(folder)
        copy_repository(REPOSITORY, original)
        needed = {test for mutation in mutations for test in mutation.tests}
        baseline = run_tests(original, sorted(needed), LONGEST_HANG)
        if baseline.caught:
            print(f"The tests fail on the engine as it is: {baseline.how}")
            return 1
        seconds = time.monotonic() - began
        print(f"The tests pass on the engine as it is, in {seconds:.0f} s.", flush=True)
        # Nothing takes longer than everything did, even with another mutant beside it.
        hang = min(max(SHORTEST_HANG, 2 * seconds), LONGEST_HANG)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            caught = list(pool.map(lambda each: report(each, original, hang), mutations))
    print(f"{sum(caught)}/{len(caught)} caught in {time.monotonic() - began:.0f} s")
    for mutation, good in zip(mutations, caught, strict=True):
        if not good:
            print(f"not caught: {mutation.module}: {mutation.rule}")
    return 0 if all(caught) and caught else 1


assert set(TESTS) >= {mutation.module for mutation in MUTATIONS}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
