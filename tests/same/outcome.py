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
    """One result of an operation, and the number of the burst in which it came."""

    burst: int
    #: The operation, without what tells two equal ones apart.
    what: str
    result: str


@dataclass
class Outcome:
    """The outcome of a program.

    Attributes:
      ended: how the runs ended.
      histories: for each socket ("socket 0") and group ("group 0"), the results of its operations.
      accounts: for each socket, whether all bytes are accounted for.
      receives: how many receives have ended.
    """

    ended: str = WELL
    histories: dict[str, list[Entry]] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    receives: int = 0

    def note(self, whose: str, entry: Entry) -> None:
        self.histories.setdefault(whose, []).append(entry)

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
    """Report whether what was received is what was sent, in order.

    Args:
      chunks: what was received, and in which bursts; in one burst, tasks may run in any order.
      sent: what was sent.
      to_the_end: whether all of it must have been received.
    """
    if _continues(chunks, sent, 0, to_the_end=to_the_end):
        return WHOLE
    received = sum(len(data) for _, data in chunks)
    return f"{received} of {len(sent)} bytes" if received != len(sent) else "out of order"


def _continues(
    chunks: list[tuple[int, bytes]], sent: bytes, start: int, *, to_the_end: bool
) -> bool:
    # Tries the chunks of the first burst in every order that fits.
    if not chunks:
        return start == len(sent) or not to_the_end
    burst = chunks[0][0]
    for index, (other, data) in enumerate(chunks):
        if other != burst:
            return False
        rest = chunks[:index] + chunks[index + 1 :]
        end = start + len(data)
        if sent.startswith(data, start) and _continues(rest, sent, end, to_the_end=to_the_end):
            return True
    return False
