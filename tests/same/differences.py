"""All in which a program may do something else than on stock Trio.  There is no other tolerance.

Each predicate says in its docstring what changes for a program, in a sentence of the documentation.
It gets the program and, for one socket or group, the first burst in which the package did what stock
Trio never does: the entries that only the package has, and those that only stock Trio has.  From
there on the two have had different data, so what follows on this socket is not compared, but for
its bytes, none of which may be lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .program import CancelGroup, CancelOne, PeerFinishes, PeerSends, Receive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .outcome import Entry
    from .program import Burst, Program


@dataclass(frozen=True)
class Case:
    """Where the two part.

    Attributes:
      program: the program.
      number: the number of the burst.
      socket: the number of the socket.
      package: what only the package has noted there.
      stock: what only stock Trio has.
    """

    program: Program
    number: int
    socket: int
    package: Counter[Entry]
    stock: Counter[Entry]

    @property
    def burst(self) -> Burst:
        bursts = self.program.bursts()
        return bursts[self.number] if self.number < len(bursts) else []


def _is_data(entry: Entry) -> bool:
    return " bytes " in entry.result or " from " in entry.result or entry.result == "end"


def data_beats_cancellation(case: Case) -> bool:
    """A receive can succeed although it was cancelled, if its data had arrived."""
    sends = [
        index
        for index, each in enumerate(case.burst)
        if isinstance(each, PeerSends | PeerFinishes) and each.socket == case.socket
    ]
    cancels = [
        index for index, each in enumerate(case.burst) if isinstance(each, CancelOne | CancelGroup)
    ]
    if not sends or not cancels or cancels[-1] < sends[0]:
        return False
    got = {entry.what for entry in case.package if _is_data(entry)}
    cancelled = {entry.what for entry in case.stock if entry.result == "cancelled"}
    return bool(got & cancelled)


def other_recursion_limit(case: Case) -> bool:
    """Near the recursion limit, a receive may fail for which stock Trio has frames enough, or the
    other way round."""
    return any(
        isinstance(each, Receive) and each.frames is not None and each.socket == case.socket
        for burst in case.program.bursts()[: case.number + 1]
        for each in burst
    ) and any(
        entry.result == "RecursionError" for entry in [*case.package, *case.stock]
    )


#: What may differ.
DIFFERENCES: tuple[Callable[[Case], bool], ...] = (data_beats_cancellation, other_recursion_limit)


def first_difference(
    package: Iterable[Entry], stock: Iterable[Entry]
) -> tuple[int, Counter[Entry], Counter[Entry]]:
    """Return the first burst in which two histories differ, and what only each of them has there."""
    mine, theirs = Counter(package), Counter(stock)
    only_mine, only_theirs = mine - theirs, theirs - mine
    number = min(entry.burst for entry in (only_mine + only_theirs))
    return (
        number,
        Counter({entry: n for entry, n in only_mine.items() if entry.burst == number}),
        Counter({entry: n for entry, n in only_theirs.items() if entry.burst == number}),
    )
