"""What every subject does with a datagram: see that it is the next one, and answer if asked."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tests.bench.programs import END

if TYPE_CHECKING:
    from collections.abc import Callable

    Data = bytes | memoryview
    Action = Callable[[Data], Data | None]

ROOM: Final = 2048  # what programs offer to a datagram that comes over an Ethernet
MANY: Final = 64  # datagrams to ask for at a time, where that can be asked

HEADER: Final = struct.Struct("!II")  # the datagram's number, and whether to answer
ANSWER: Final = struct.Struct("!I")  # the number that the next one must have
WRONG: Final = 0xFFFFFFFF  # the same when another has come


class Ended(Exception):
    """The last datagram has arrived."""


class Ledger:
    """The datagrams of one task."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, data: Data) -> bytes | None:
        """Return what to answer to a datagram, if anything."""
        if len(data) == END:
            raise Ended
        number, answer = HEADER.unpack_from(data)
        self._next = number + 1 if number == self._next else WRONG
        return ANSWER.pack(self._next) if answer else None


def echo(data: Data) -> Data:
    """Return a datagram, which is to be sent back."""
    if len(data) == END:
        raise Ended
    return data


def action_of(work: str) -> Action:
    """Return what to do with each datagram in this work."""
    return echo if work == "datagrams-echo" else Ledger().take
