"""Plays a program on stock Trio and on the package, and reports how they differ.

Where an outcome depends on the order in which Trio runs its tasks, stock Trio plays the program
with many seeds of its scheduler, and the package may do what stock Trio did for any of them.  But a
run that ends with an error or never, and lost bytes, are faults whatever stock Trio does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeAlias

from .differences import Case, allowed, first_difference
from .outcome import BYTES, WELL, WHOLE, Outcome
from .program import Close, Program, Receive

#: How often stock Trio plays a program on which the two differ: at first, and before a difference
#: is reported.  Each of many steps may have two orders.
TIMES = (40, 300)
#: How often it may crash, which takes a new process each time.
CRASHES = 8

#: Plays a program with a seed of the scheduler.
Player: TypeAlias = Callable[[Program, int], Outcome]


@dataclass
class Comparison:
    """How the two differ."""

    #: Differences that are not allowed: what the package did, and what stock Trio does instead,
    #: without numbers; then all of it, in lines.
    problems: dict[str, str] = field(default_factory=dict)
    #: How often each predicate allowed a difference.
    tolerated: Counter[str] = field(default_factory=Counter)
    #: How many receives the package has made.
    receives: int = 0


class Oracle:
    """What stock Trio does with a program, as far as it is known."""

    def __init__(self, player: Player, program: Program) -> None:
        self._player = player
        self._program = program
        self._played = 0
        self._outcomes: list[dict[str, Any]] = []
        self._closes = any(isinstance(each, Close) for burst in program.bursts() for each in burst)

    def judge(self, outcome: Outcome, most: int) -> Comparison:
        """Compare an outcome with those of stock Trio, which plays `most` times, if need be."""
        parts = outcome.parts()
        comparison = Comparison(receives=outcome.receives)
        if outcome.ended != WELL:
            comparison.problems[f"ended: {outcome.ended}"] = f"  the package ended {outcome.ended}"
            return comparison
        while not self._outcomes or (unseen := self._unseen(parts)):
            if self._played >= most or self._played - len(self._outcomes) == CRASHES:
                break
            stock = self._player(self._program, self._played)
            self._played += 1
            if stock.ended == WELL:
                self._outcomes.append(stock.parts())
        else:
            return comparison
        if not self._outcomes:
            comparison.tolerated["stock Trio crashed"] += 1
            return comparison

        def add(kind: str, name: str) -> None:
            comparison.problems[kind] = self._described(name, parts.get(name))

        first = inf  # the first burst with an allowed difference
        elsewhere: set[str] = set()  # sockets whose data other receives got
        cancelled: set[int] = set()  # groups that an allowed difference may have ended
        unclear: list[tuple[str, Case]] = []
        for name in sorted(unseen, key=lambda name: name.endswith(BYTES)):
            if name.endswith(BYTES):
                # If other receives got the data, another amount of it may be left at the close.
                if name.removesuffix(f", {BYTES}") not in elsewhere:
                    add(f"{BYTES}: {parts.get(name)}", name)
                continue
            cases = self._cases(name, parts.get(name) or ())
            if name.startswith("group"):
                if cases[0].number < first and not _only_follows(parts.get(name), parts):
                    add(cases[0].kind, name)
            elif predicate := allowed(cases):
                comparison.tolerated[predicate] += 1
                if self._closes:
                    elsewhere.add(name)
                first = min(first, cases[0].number)
                cancelled |= {each.group for each in self._receives(name) if not each.caught}
            else:
                unclear.append((name, cases[0]))
        for name, case in unclear:
            groups = {each.group for each in self._receives(name)}
            if case.number < first or groups.isdisjoint(cancelled):
                add(case.kind, name)
        return comparison

    def _receives(self, name: str) -> list[Receive]:
        # Those on the socket of this part.
        return self._program.receives(int(name.split()[1]))

    def _unseen(self, parts: dict[str, Any]) -> list[str]:
        # The parts that differ from every outcome of stock Trio, sockets first.
        names = {name for each in (parts, *self._outcomes) for name in each}
        unseen = (
            name
            for name in names
            if not any(_is_as_good(parts.get(name), each.get(name)) for each in self._outcomes)
        )
        return sorted(unseen, reverse=True)

    def _cases(self, name: str, part: Any) -> list[Case]:
        # Where this part differs from those outcomes of stock Trio that match it the longest.
        number = int(name.split()[1])
        cases = [
            first_difference(self._program, number, part, each.get(name, ()))
            for each in self._outcomes
        ]
        last = max(case.number for case in cases)
        return [case for case in cases if case.number == last]

    def _described(self, name: str, part: Any) -> str:
        lines = [f"  {name}: the package", *_lines(part)]
        seen = Counter(each.get(name) for each in self._outcomes)
        for other, times in seen.most_common(4):
            lines += [f"  stock Trio {times} of {len(self._outcomes)} times", *_lines(other)]
        return "\n".join(lines)


def _only_follows(group: Any, parts: dict[str, Any]) -> bool:
    # Whether a group raised just what its receives did, each of which has been compared itself: on
    # stock Trio the first of several errors may cancel the receives that have the others.
    errors = Counter(
        (entry.burst, entry.result)
        for name, entries in parts.items()
        if name.startswith("socket") and not name.endswith(BYTES)
        for entry in entries
    )
    raised = Counter(
        (entry.burst, error)
        for entry in group or ()
        for error in entry.result.removeprefix("ExceptionGroup[").removesuffix("]").split(", ")
    )
    return bool(raised) and raised <= errors


def _is_as_good(part: Any, stock: Any) -> bool:
    # Whether nothing is lost and the same follows the last byte, or the parts are equal.
    if not isinstance(part, str):
        return bool(part == stock)
    account, _, end = part.partition(", then ")
    return part in (WHOLE, stock) or (account == WHOLE and str(stock).endswith(f", then {end}"))


def _lines(part: Any) -> list[str]:
    if not isinstance(part, tuple):
        return [f"    {part or 'nothing'}"]
    return [f"    burst {each.burst}: {each.what}: {each.result}" for each in part]


def compare(
    plain: Player, patched: Player, program: Program, times: int = 1, most: tuple[int, ...] = TIMES
) -> Comparison:
    """Have the package play a program so many `times`, until it differs from stock Trio."""
    oracle = Oracle(plain, program)
    total = Comparison()
    for schedule in range(times):
        outcome = patched(program, schedule)
        for limit in most:
            comparison = oracle.judge(outcome, limit)
            if not comparison.problems:
                break
        total.tolerated += comparison.tolerated
        total.receives += comparison.receives
        if comparison.problems:
            total.problems = comparison.problems
            break
    return total
