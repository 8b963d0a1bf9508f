"""Compares random programs: ``python -m tests.same --programs N --seed S``.

Prints each difference with the smallest program that shows it, and the command that replays that.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tqdm import tqdm

from tests.children import end_on_termination

from .compare import AGAIN, compare
from .generate import generate
from .program import Program
from .shrink import shrink
from .workers import workers

if TYPE_CHECKING:
    from .compare import Player


class Report:
    """What came of many programs."""

    def __init__(self) -> None:
        self.programs = 0
        self.receives = 0
        self.tolerated: Counter[str] = Counter()
        self.differing = 0
        self.once = 0

    def __str__(self) -> str:
        tolerated = ", ".join(f"{n} × {name}" for name, n in self.tolerated.most_common())
        return (
            f"same: {self.programs} programs, {self.receives} receives; different: "
            f"{self.differing}, once only: {self.once}; allowed: {tolerated or 'none'}"
        )


def check(players: tuple[Player, Player], program: Program, report: Report, seed: str) -> None:
    """Compare what both do with a program, and print in what they differ."""
    plain, patched = players
    comparison = compare(plain, patched, program)
    report.programs += 1
    report.receives += comparison.receives
    report.tolerated += comparison.tolerated
    if not comparison.problems:
        return
    if not (again := compare(plain, patched, program, AGAIN)).problems:
        report.once += 1
        tqdm.write(f"{seed}: this has not happened again in {AGAIN} times:\n{program}")
        tqdm.write("\n".join(comparison.problems))
        return
    report.differing += 1
    kinds = kinds_of(again.problems)

    def fails(smaller: Program) -> bool:
        problems = compare(plain, patched, smaller, AGAIN).problems
        return bool(kinds & kinds_of(problems))

    smallest = shrink(program, fails)
    problems = compare(plain, patched, smallest, AGAIN).problems or again.problems
    tqdm.write(f"{seed}: different\n{smallest}")
    tqdm.write("\n".join(problems))
    tqdm.write(f"replay: python -m tests.same --replay {shlex.quote(smallest.to_json())}\n")


def kinds_of(problems: list[str]) -> set[str]:
    """Return which kinds of things differ, so that a smaller program is one for the same."""
    return {problem.split(" ", 1)[0].split(":")[0] for problem in problems}


def main() -> int:
    parser = argparse.ArgumentParser(prog="same", description=__doc__)
    parser.add_argument("--programs", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--seconds", type=float, default=None, help="at most, instead")
    parser.add_argument("--seed", type=int, help="of the first program (default: a random one)")
    parser.add_argument("--replay", metavar="JSON", help="compare this program only")
    parser.add_argument("--failures", type=int, default=10, help="stop after so many")
    options = parser.parse_args()
    end_on_termination()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    until = time.monotonic() + (options.seconds or float("inf"))
    report = Report()
    with workers() as players:
        if options.replay:
            check(players, Program.from_json(options.replay), report, "replayed")
        else:
            count = sys.maxsize if options.seconds else options.programs
            bar = tqdm(total=None if options.seconds else count, unit="program", mininterval=5)
            print(f"same: --seed {seed}", flush=True)
            for each in range(seed, seed + count):
                if time.monotonic() > until or report.differing >= options.failures:
                    break
                check(players, generate(each), report, f"--programs 1 --seed {each}")
                bar.update()
            bar.close()
    print(report)
    return 1 if report.differing or report.once else 0


if __name__ == "__main__":
    sys.exit(main())
