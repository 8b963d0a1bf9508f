"""What goes over a connection of the soak test, as both sides know it.

It is a stretch of one long row of random bytes, from an offset of the connection's own on, so that
a byte that is lost, repeated, out of place or from another connection shows.  A trailer follows
with the number of these bytes and their checksum, as the sender counted them.
"""

from __future__ import annotations

import random
import struct
import zlib

#: How many different offsets there are; a payload may be as long.
LENGTH = 1_000_003

#: Not to be found in a payload at the place where it is sent.
URGENT = b"!"

_ROW = random.Random(2026).randbytes(LENGTH)
_ROWS = memoryview(_ROW + _ROW)
_TRAILER = struct.Struct("<QI")

TRAILER_SIZE = _TRAILER.size


def payload(offset: int, start: int, stop: int) -> memoryview:
    """Return the bytes from ``start`` to ``stop`` of the payload that begins at an offset."""
    return _ROWS[offset + start : offset + stop]


def trailer(nbytes: int, checksum: int) -> bytes:
    return _TRAILER.pack(nbytes, checksum)


class Ledger:
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
        self.total = size + TRAILER_SIZE

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
