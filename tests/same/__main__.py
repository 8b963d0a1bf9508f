"""Compares random programs: ``python -m tests.same --programs N --seed S``.

Prints each difference with the smallest program that shows it, and the command that replays that.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shlex
import sys
import time
from collections import Counter
from math import inf
from pprint import pformat

from tqdm import tqdm

from tools.children import end_on_termination

from .compare import Comparison, Player, compare
from .program import Program, generate, parse
from .shrink import shrink
from .worker import workers

AGAIN = 50  # how often the package plays a program again after a difference
SHRINKING = 60.0  # seconds to shrink it
WHILE_SHRINKING = 12  # how often each of the two plays it while it is shrunk


class Session:
    """Many programs and their results."""

    def __init__(self, plain: Player, patched: Player) -> None:
        self.players = plain, patched
        self.programs = self.receives = 0
        self.tolerated: Counter[str] = Counter()
        self.different: Counter[str] = Counter()  # the differences that are not allowed
        self.once = 0  # how many programs differed once, and never again

    def check(self, program: Program, name: str, times: int = 1) -> None:
        """Play a program this many times on both, until they differ, and print how."""
        comparison = compare(*self.players, program, times)
        self.programs += 1
        self.receives += comparison.receives
        self.tolerated += comparison.tolerated
        if comparison.problems.keys() <= self.different.keys():
            self.different.update(comparison.problems.keys())
            return  # no difference, or one that has been shown before
        again = compare(*self.players, program, AGAIN)
        if not again.problems:
            self.once += 1
            self._show(f"{name}: this has not happened again in {AGAIN} times", program, comparison)
            return
        self.different.update(again.problems.keys())
        shown = again

        def fails(smaller: Program) -> bool:
            nonlocal shown
            for _ in range(2):  # twice, so that a replay of the smallest program fails too
                found = compare(*self.players, smaller, WHILE_SHRINKING, (WHILE_SHRINKING,))
                if found.problems.keys().isdisjoint(again.problems):
                    return False
            shown = found
            return True

        smallest = shrink(program, fails, SHRINKING)
        self._show(f"{name}: different", smallest, shown)

    @property
    def failed(self) -> bool:
        return bool(self.different or self.once)

    def _show(self, title: str, program: Program, comparison: Comparison) -> None:
        replay = f"replay: python -m tests.same --replay {shlex.quote(repr(program))}"
        problems = [line for problem in comparison.problems.items() for line in problem]
        tqdm.write("\n".join(["", title, pformat(program, width=100), *problems, replay]))

    def __str__(self) -> str:
        lines = [f"same: {self.programs:,} programs, {self.receives:,} receives"]
        lines += [f"  allowed {n:,} times: {what}" for what, n in self.tolerated.most_common()]
        lines += [f"  DIFFERENT {n:,} times: {what}" for what, n in self.different.most_common()]
        if self.once:
            lines.append(f"  DIFFERENT once and not again: {self.once} programs")
        return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="same", description=__doc__)
    parser.add_argument("--programs", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--seconds", type=float, help="at most, instead")
    parser.add_argument("--seed", type=int, help="of the first program (default: a random one)")
    parser.add_argument("--replay", metavar="PROGRAM", help="compare this program only")
    options = parser.parse_args()
    end_on_termination()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    until = time.monotonic() + (options.seconds or inf)
    with workers() as (plain, patched):
        session = Session(plain.play, patched.play)
        if options.replay:
            session.check(parse(options.replay), "replayed", AGAIN)
        else:
            print(f"same: --seed {seed}", flush=True)
            seeds = (
                itertools.count(seed) if options.seconds else range(seed, seed + options.programs)
            )
            for each in tqdm(seeds, unit="program", mininterval=5):
                if time.monotonic() > until:
                    break
                session.check(generate(each), f"--programs 1 --seed {each}")
    print(session)
    return 1 if session.failed else 0


if __name__ == "__main__":
    sys.exit(main())
