"""Every allowed difference from stock Trio.  There is no other tolerance.

Each predicate says in its docstring what changes for a program, in a sentence of the docs.  It gets
the first burst in which the package did on a socket what stock Trio never does.  What follows on
this socket is not compared, since the two have had different data; but no byte may be lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .outcome import CANCELLED, Entry
from .program import (
    DATAGRAMS,
    Burst,
    Cancel,
    Close,
    Own,
    Peer,
    Program,
    Receive,
    Shutdown,
    receives_of,
)

#: On stock Trio, a receive whose data came before the close may try again and fail with these.
CLOSED = ("ClosedResourceError", "OSError 10038", "ClosedResourceError from OSError 10038")
ENDED = (CANCELLED, *CLOSED)
BUSY = "BusyResourceError"
TOO_LARGE = "OSError 10040"
RESET = "ConnectionResetError 10054"


@dataclass(frozen=True)
class Case:
    """The first burst in which a socket did something else on the two."""

    program: Program
    number: int  # of the burst
    socket: int
    package: Counter[Entry]  # what came of its operations
    stock: Counter[Entry]

    @property
    def burst(self) -> Burst:
        bursts = self.program.bursts()
        return bursts[self.number] if self.number < len(bursts) else []

    def on_socket(self, kind: type[Any]) -> list[Any]:
        """Return the operations of this kind on the socket, in this burst."""
        return [
            each for each in self.burst if isinstance(each, kind) and each.socket == self.socket
        ]

    def receives(self) -> list[Receive]:
        """Return the receives on the socket, up to this burst."""
        bursts = self.program.bursts()[: self.number + 1]
        return [each for burst in bursts for each in receives_of(burst, self.socket)]

    @property
    def kind(self) -> str:
        """Name the difference, without numbers."""

        def kinds(entries: Counter[Entry]) -> str:
            results = (entry.result for entry in entries)
            found = {"data" if " bytes " in result else result for result in results}
            return ", ".join(sorted(found)) or "nothing"

        return f"{kinds(self.package - self.stock)} instead of {kinds(self.stock - self.package)}"


def data_beats_cancel_and_close(case: Case) -> bool:
    """A receive can succeed although it was cancelled or its socket was closed, if its data had
    arrived."""
    data, ends = [], []
    for index, each in enumerate(case.burst):
        on_socket = getattr(each, "socket", None) == case.socket
        if isinstance(each, Peer) and on_socket and each.how in ("send", "finish"):
            data.append(index)
        elif isinstance(each, Cancel) or (isinstance(each, Close) and on_socket):
            ends.append(index)
    if not data or not ends or ends[-1] < data[0]:
        return False
    got = {entry.what for entry in case.package - case.stock if _is_data(entry)}
    return bool(got & {entry.what for entry in case.stock if entry.result in ENDED})


def first_bytes_end_a_receive(case: Case) -> bool:
    """A receive that waits ends with the first bytes that arrive, even if more bytes follow before
    its task runs."""
    data = [each for each in case.on_socket(Peer) if each.how != "reset"]
    sends = sum(each.nbytes if each.how == "drip" else 1 for each in data)
    got, theirs = (
        {entry.what for entry in entries if " bytes " in entry.result}
        for entries in (case.package - case.stock, case.stock - case.package)
    )
    return sends > 1 and case.program.sockets[case.socket] != DATAGRAMS and bool(got & theirs)


def shutdown_ends_a_receive(case: Case) -> bool:
    """A receive that waits ends when its connection is shut down for receiving."""
    shut = any(each.how != 1 for each in case.on_socket(Shutdown))
    results = [entry.result for entry in case.package - case.stock]
    came_before = any(result == "end" or RESET in result for result in results)
    return shut and (came_before or not case.stock - case.package)


def other_recursion_limit(case: Case) -> bool:
    """Near the recursion limit, a receive can fail where it succeeds on stock Trio, or the other
    way round."""
    return any(each.frames is not None for each in case.receives())


def waiting_receive_gets_the_data(case: Case) -> bool:
    """A receive that waits gets the data that arrives, even if another task begins to receive
    before the waiting task runs."""
    now = receives_of(case.burst, case.socket)
    before = len(case.receives()) - len(now)
    # A task receives after one that has waited since an earlier burst, or receives on.
    competes = (before and now) or (len(now) > 1 and any(each.times > 1 for each in now))
    got_data = any(_is_data(entry) for entry in case.package)
    only_refused = {entry.result for entry in case.package - case.stock} == {BUSY}
    return bool(competes) and (got_data or not only_refused)


def refused_a_step_later(case: Case) -> bool:
    """A second receiver that is refused gets BusyResourceError one step later."""
    receives = receives_of(case.burst)
    sockets = [each.socket for each in receives]
    return len(sockets) > len(set(sockets)) and not all(each.caught for each in receives)


def cancelled_a_step_later(case: Case) -> bool:
    """A receive that is cancelled ends one step later, and until then a TLS stream refuses other
    receivers."""
    others = receives_of(case.burst, case.socket)
    waited = len(case.receives()) > len(others) > 0
    cancelled = any(isinstance(each, Cancel) for each in case.burst)
    only_refused = {entry.result for entry in case.package - case.stock} == {BUSY}
    return case.program.sockets[case.socket] == "tls" and waited and cancelled and only_refused


def closed_in_the_same_step(case: Case) -> bool:
    """A receive on a socket that is closed in the same step can raise ClosedResourceError instead
    of OSError, or return data that had arrived before."""
    owners = {
        each.group
        for burst in case.program.bursts()[: case.number + 1]
        for each in burst
        if isinstance(each, Own) and each.socket == case.socket
    }
    cancels = (each for each in case.burst if isinstance(each, Cancel) and each.name is None)
    owner_ends = owners and any(each.group is None or each.group in owners for each in cancels)
    results = {entry.result for entry in case.package - case.stock}
    ended = any(result in CLOSED or " bytes " in result for result in results)
    return bool(ended and (owner_ends or case.on_socket(Close)))


def reset_on_old_wine(case: Case) -> bool:
    """A reset that arrived before the receive was submitted (Wine 8.0: end of the stream; Wine 10.0
    behaves like Windows)."""
    return (
        case.program.sockets[case.socket] == "hostile"
        and any(RESET in entry.result for entry in case.package - case.stock)
        and any(entry.result == "end" for entry in case.stock - case.package)
    )


DIFFERENCES: tuple[Callable[[Case], bool], ...] = (
    data_beats_cancel_and_close,
    first_bytes_end_a_receive,
    waiting_receive_gets_the_data,
    refused_a_step_later,
    cancelled_a_step_later,
    closed_in_the_same_step,
    shutdown_ends_a_receive,
    other_recursion_limit,
    reset_on_old_wine,
)


def allowed(cases: Iterable[Case]) -> str | None:
    """Return the name of a predicate that allows one of these; None if there is none."""
    found = (each.__name__ for case in cases for each in DIFFERENCES if each(case))
    return next(found, None)


def first_difference(
    program: Program, socket: int, package: Iterable[Entry], stock: Iterable[Entry]
) -> Case:
    """Return the first burst in which two different histories of a socket or group differ."""
    mine, theirs = Counter(package), Counter(stock)
    number = min(entry.burst for entry in (mine - theirs) + (theirs - mine))

    def in_it(entries: Counter[Entry]) -> Counter[Entry]:
        return Counter({entry: n for entry, n in entries.items() if entry.burst == number})

    return Case(program, number, socket, in_it(mine), in_it(theirs))


def _is_data(entry: Entry) -> bool:
    return any(word in entry.result for word in (" bytes ", "end", TOO_LARGE))
