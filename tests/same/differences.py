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

from .program import CancelGroup, CancelOne, Close, PeerFinishes, PeerSends, Receive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .outcome import Entry
    from .program import Burst, Program

CLOSED = "ClosedResourceError"


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

    @property
    def kind(self) -> str:
        """Say what differs, without numbers."""
        mine, theirs = (
            ", ".join(sorted({_kind(entry) for entry in entries})) or "nothing"
            for entries in (self.package, self.stock)
        )
        return f"{mine} instead of {theirs}"


def _is_data(entry: Entry) -> bool:
    return " bytes " in entry.result or entry.result.startswith("b") or entry.result == "end"


def _kind(entry: Entry) -> str:
    return "data" if _is_data(entry) and entry.result != "end" else entry.result


def data_beats_cancel_and_close(case: Case) -> bool:
    """A receive can succeed although it was cancelled, or its socket closed, in the same step, if
    its data had arrived."""
    sends = [
        index
        for index, each in enumerate(case.burst)
        if isinstance(each, PeerSends | PeerFinishes) and each.socket == case.socket
    ]
    ends = [
        index
        for index, each in enumerate(case.burst)
        if isinstance(each, CancelOne | CancelGroup)
        or (isinstance(each, Close) and each.socket == case.socket)
    ]
    if not sends or not ends or ends[-1] < sends[0]:
        return False
    got = {entry.what for entry in case.package if _is_data(entry)}
    ended = {entry.what for entry in case.stock if entry.result in ("cancelled", CLOSED)}
    return bool(got & ended)


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
DIFFERENCES: tuple[Callable[[Case], bool], ...] = (data_beats_cancel_and_close, other_recursion_limit)


def allowed(cases: Iterable[Case]) -> str | None:
    """Return the name of a predicate that allows one of these; None if there is none."""
    for case in cases:
        for predicate in DIFFERENCES:
            if predicate(case):
                return predicate.__name__
    return None


def first_difference(
    program: Program, socket: int, package: Iterable[Entry], stock: Iterable[Entry]
) -> Case:
    """Return where two different histories of a socket or group part."""
    mine, theirs = Counter(package), Counter(stock)
    only_mine, only_theirs = mine - theirs, theirs - mine
    number = min(entry.burst for entry in only_mine + only_theirs)

    def in_it(entries: Counter[Entry]) -> Counter[Entry]:
        return Counter({entry: n for entry, n in entries.items() if entry.burst == number})

    return Case(program, number, socket, in_it(only_mine), in_it(only_theirs))
