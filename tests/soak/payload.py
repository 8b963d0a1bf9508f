"""What is sent in the soak tests, known to both sides.

A connection carries a section of one long sequence of random bytes, from its own offset, so that a
byte that is lost, repeated, out of place or from another connection is noticed.  A trailer follows
with the number of bytes and their checksum, as the sender counted them.

A datagram has its sender and its number in front: ``SENDER NUMBER FILLING``.
"""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

#: How many different offsets there are; a payload may be as long.
LENGTH = 1_000_003
#: The out-of-band byte.
URGENT = b"!"

_ROW = random.Random(2026).randbytes(LENGTH)
_ROWS = memoryview(_ROW + _ROW)
_TRAILER = struct.Struct("<QI")
_HEADER = struct.Struct(">HI")

#: The sizes of the smallest datagram, and of the largest there can be over IPv4.
SMALLEST, LARGEST = _HEADER.size, 65_507


def payload(offset: int, start: int, stop: int) -> memoryview:
    """Return the bytes from ``start`` to ``stop`` of the payload that begins at an offset."""
    return _ROWS[offset + start : offset + stop]


def trailer(nbytes: int, checksum: int) -> bytes:
    return _TRAILER.pack(nbytes, checksum)


def datagram(sender: int, number: int, size: int) -> bytes:
    """Return a datagram of so many bytes."""
    return _HEADER.pack(sender, number) + payload(number % 60_000, 0, size - SMALLEST)


class StreamLedger:
    """What has been received on one connection.

    Attributes:
      position: how many bytes have been received, those of the trailer included.
      total: how many there are.
    """

    def __init__(self, offset: int, size: int) -> None:
        self._offset = offset
        self._size = size
        self._checksum = 0
        self._trailer = b""
        self.position = 0
        self.total = size + _TRAILER.size

    @property
    def missing(self) -> int:
        return self.total - self.position

    def enter(self, data: bytes) -> None:
        """Account for bytes that have been received.

        Raises:
          ValueError: they are not what was sent.
        """
        end = min(self.position + len(data), self._size)
        expected = payload(self._offset, min(self.position, self._size), end)
        part, rest = data[: len(expected)], data[len(expected) :]
        if part != expected:
            wrong = next(i for i in range(len(part)) if part[i] != expected[i])
            raise ValueError(f"wrong bytes at {self.position + wrong} of {self.total}")
        self._checksum = zlib.crc32(part, self._checksum)
        self._trailer += rest
        self.position += len(data)
        if self.position > self.total:
            raise ValueError(f"{-self.missing} bytes more than the peer has sent")
        if not self.missing and self._trailer != trailer(self._size, self._checksum):
            raise ValueError("the checksums differ")


class DatagramLedger:
    """What has been received of each sender.

    Attributes:
      received: the number of datagrams.
      addresses: where each sender's datagrams come from, if a receive has told.
    """

    def __init__(self) -> None:
        self.received = 0
        self.addresses: dict[int, Any] = {}
        self._next: dict[int, int] = {}

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
        if address is not None and self.addresses.setdefault(sender, address) != address:
            raise ValueError(f"sender {sender} has two addresses")
        self._next[sender] = number + 1
        self.received += 1
