"""What came of a program, in words that do not depend on addresses, times, or object identity."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: How the runs of a program should end.
WELL = "well"
#: What should have become of all bytes.
WHOLE = "whole"
BYTES = "bytes"
#: What comes of a receive, or a nursery, that is cancelled.
CANCELLED = "cancelled"


class Entry(NamedTuple):
    """One thing that came of an operation.

    Attributes:
      burst: the number of the burst in which.
      what: the operation, without what tells two alike apart.
      result: what came of it.
    """

    burst: int
    what: str
    result: str


@dataclass
class Outcome:
    """What came of a program.

    Attributes:
      ended: how the runs ended.
      histories: for each socket ("socket 0") and group ("group 0"), what came of its operations.
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
        """Return what is compared, each part by itself."""
        parts: dict[str, Any] = {
            whose: tuple(sorted(entries)) for whose, entries in self.histories.items()
        }
        return parts | {f"{whose}, {BYTES}": account for whose, account in self.accounts.items()}


def of_data(data: bytes | str) -> str:
    """Put received bytes into words, if they are not yet."""
    if isinstance(data, str):
        return data
    return f"{len(data)} bytes {zlib.crc32(data):08x}" if data else "end"


def of_error(error: BaseException) -> str:
    """Put an exception into words: its type, its Winsock error, and what it is made of."""
    parts = getattr(error, "exceptions", ())  # of a group, a class that Python 3.10 does not have
    if parts:
        return f"{type(error).__name__}[{', '.join(sorted(map(of_error, parts)))}]"
    winerror = getattr(error, "winerror", None) or getattr(error, "errno", None)
    cause = error.__cause__
    name = type(error).__name__ + (f" {winerror}" if winerror else "")
    return f"{name} from {of_error(cause)}" if isinstance(cause, OSError) else name


def account_for(chunks: list[tuple[int, bytes]], sent: bytes, *, to_the_end: bool) -> str:
    """Say whether what was received is what was sent, in order.

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
    # Tries the chunks of the first burst that there is in every order that fits.
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
