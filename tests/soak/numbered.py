"""Datagrams that say who sent them and which of theirs they are: ``SENDER NUMBER FILLING``."""

from __future__ import annotations

import random
import struct
from typing import Any

_HEADER = struct.Struct(">HI")
_FILLING = random.Random(8).randbytes(128 * 1024)

#: The smallest datagram, in bytes.
SMALLEST = _HEADER.size
#: The largest there can be over IPv4, in bytes.
LARGEST = 65_507


def datagram(sender: int, number: int, size: int) -> bytes:
    """Return a datagram of so many bytes."""
    begin = number % 60_000
    return _HEADER.pack(sender, number) + _FILLING[begin : begin + size - SMALLEST]


class Ledger:
    """What has been received of each sender.

    Attributes:
      received: the number of datagrams.
    """

    def __init__(self) -> None:
        self.received = 0
        self._next: dict[int, int] = {}
        self._addresses: dict[int, Any] = {}

    def address_of(self, sender: int) -> Any:
        """Return where a sender's datagrams come from; None if no receive has told."""
        return self._addresses.get(sender)

    def enter(self, data: bytes, address: Any) -> None:
        """Enter a datagram, or the beginning of one that did not fit.

        Raises:
          ValueError: it is not the next one of its sender, or not as it was sent.
        """
        sender, number = _HEADER.unpack_from(data)
        expected = self._next.get(sender, 0)
        if number != expected:
            raise ValueError(f"number {number} of sender {sender} where {expected} was due")
        if data != datagram(sender, number, len(data)):
            raise ValueError(f"number {number} of sender {sender} is not as it was sent")
        if address is not None and self._addresses.setdefault(sender, address) != address:
            raise ValueError(f"sender {sender} has two addresses")
        self._next[sender] = number + 1
        self.received += 1
