"""Plays a program on both, and says in what they differ.

Where an outcome depends on the order in which Trio runs its tasks, stock Trio plays the program
with many seeds of its scheduler, and the package may do what stock Trio did for any of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .differences import DIFFERENCES, Case, first_difference

if TYPE_CHECKING:
    from .outcome import Outcome
    from .program import Program

#: How often stock Trio plays a program on which the two differ, before that is said.
MOST = 40
#: How often the package does, to see whether it happens again.
AGAIN = 20


class Player(Protocol):
    """What plays programs."""

    def play(self, program: Program, schedule: int) -> Outcome: ...


@dataclass
class Comparison:
    """In what the two differ.

    Attributes:
      problems: each with what the package did and what stock Trio does.
      tolerated: how often each of the predicates held.
      receives: how many receives the package has made.
      first: the package's outcome.
    """

    problems: list[str] = field(default_factory=list)
    tolerated: Counter[str] = field(default_factory=Counter)
    receives: int = 0


class Stock:
    """What stock Trio does with a program, as far as it is known."""

    def __init__(self, player: Player, program: Program) -> None:
        self._player = player
        self._program = program
        self.outcomes: list[dict[str, Any]] = []

    def play(self) -> None:
        outcome = self._player.play(self._program, len(self.outcomes))
        self.outcomes.append(outcome.parts())

    def unseen(self, parts: dict[str, Any]) -> list[str]:
        """Return which parts of an outcome stock Trio has never shown so."""
        names = {name for each in (parts, *self.outcomes) for name in each}
        return sorted(
            name
            for name in names
            if all(parts.get(name) != each.get(name) for each in self.outcomes)
        )

    def never_shows(self, outcome: Outcome) -> Comparison:
        """Compare an outcome of the package with those of stock Trio, more of them if need be."""
        parts = outcome.parts()
        comparison = Comparison(receives=outcome.receives)
        while True:
            unseen = self.unseen(parts) if self.outcomes else ["all"]
            if not unseen:
                return comparison
            if len(self.outcomes) >= MOST:
                break
            self.play()
        tolerated_from = MANY
        for name in sorted(unseen, key=lambda name: not name.startswith("socket")):
            case, predicate = self._tolerate(name, parts.get(name))
            if predicate:
                comparison.tolerated[predicate] += 1
                tolerated_from = min(tolerated_from, case)
            elif not (name.startswith("group") and tolerated_from <= case):
                comparison.problems.append(self._described(name, parts.get(name)))
        return comparison

    def _tolerate(self, name: str, part: Any) -> tuple[int, str]:
        # The burst in which this part differs, and the name of the predicate that allows it.
        who, _, rest = name.partition(" ")
        if who not in ("socket", "group") or not rest.isdigit():
            return -1, ""
        found = [
            first_difference(part or (), each.get(name, ())) for each in self.outcomes
        ]
        number = max(number for number, _, _ in found)
        if who == "group":
            return number, ""
        for burst, package, stock in found:
            if burst == number:
                case = Case(self._program, number, int(rest), package, stock)
                for predicate in DIFFERENCES:
                    if predicate(case):
                        return number, predicate.__name__
        return number, ""

    def _described(self, name: str, part: Any) -> str:
        seen = Counter(each.get(name) for each in self.outcomes)
        lines = [f"{name}: the package", *_lines(part), "  and stock Trio"]
        for other, times in seen.most_common(4):
            lines += [f"    {times} of {len(self.outcomes)} times", *_lines(other)]
        return "\n".join(lines)


MANY = 1 << 30


def _lines(part: Any) -> list[str]:
    if not isinstance(part, tuple):
        return [f"      {part or 'nothing'}"]
    return [f"      burst {each.burst}: {each.what}: {each.result}" for each in part]


def compare(plain: Player, patched: Player, program: Program, schedules: int = 1) -> Comparison:
    """Play a program on both.

    Args:
      plain: plays it on stock Trio.
      patched: plays it on this package.
      program: the program.
      schedules: how many times the package plays it, each with another seed of the scheduler.
    """
    stock = Stock(plain, program)
    total = Comparison()
    for schedule in range(schedules):
        comparison = stock.never_shows(patched.play(program, schedule))
        total.tolerated += comparison.tolerated
        total.receives += comparison.receives
        if comparison.problems:
            total.problems = comparison.problems
            break
    return total
