"""The outcome of a program, in words without addresses, times, or object identities."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: How all runs of a program should end.
WELL = "well"
#: The account of a socket on which no byte is missing.
WHOLE = "whole"
BYTES = "bytes"
#: The result of a receive or a nursery that is cancelled.
CANCELLED = "cancelled"


class Entry(NamedTuple):
    """One result of an operation."""

    burst: int  # in which it came
    what: str  # the operation, without what tells two equal ones apart
    result: str


@dataclass
class Outcome:
    """How the runs ended, and what came of each socket ("socket 0") and group ("group 0")."""

    ended: str = WELL
    histories: dict[str, list[Entry]] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)  # whether all bytes are there
    receives: int = 0  # how many have ended

    def parts(self) -> dict[str, Any]:
        """Return the parts that are compared."""
        parts: dict[str, Any] = {
            whose: tuple(sorted(entries)) for whose, entries in self.histories.items()
        }
        return parts | {f"{whose}, {BYTES}": account for whose, account in self.accounts.items()}


def of_data(data: bytes | str) -> str:
    """Describe received bytes in words, unless they are words already."""
    if isinstance(data, str):
        return data
    return f"{len(data)} bytes {zlib.crc32(data):08x}" if data else "end"


def of_error(error: BaseException) -> str:
    """Describe an exception: its type, its Winsock error, and its parts or cause."""
    # Python 3.10 has no exception groups.
    if parts := getattr(error, "exceptions", ()):
        return f"{type(error).__name__}[{', '.join(sorted(map(of_error, parts)))}]"
    winerror = getattr(error, "winerror", None) or getattr(error, "errno", None)
    cause = error.__cause__
    name = type(error).__name__ + (f" {winerror}" if winerror else "")
    return f"{name} from {of_error(cause)}" if isinstance(cause, OSError) else name


def account_for(chunks: list[tuple[int, bytes]], sent: bytes, *, to_the_end: bool) -> str:
    """Report whether what was received is what was sent, in order, and `to_the_end` all of it.

    Each chunk comes with its burst: in one burst, tasks may run in any order.
    """

    def continues(chunks: list[tuple[int, bytes]], start: int) -> bool:
        for index, (burst, data) in enumerate(chunks):
            if burst != chunks[0][0]:
                return False
            rest = chunks[:index] + chunks[index + 1 :]
            if sent.startswith(data, start) and continues(rest, start + len(data)):
                return True
        return not chunks and (start == len(sent) or not to_the_end)

    if continues(chunks, 0):
        return WHOLE
    received = sum(len(data) for _, data in chunks)
    return f"{received} of {len(sent)} bytes" if received != len(sent) else "out of order"
