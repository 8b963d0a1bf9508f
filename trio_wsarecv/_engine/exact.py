"""Requests for an exact number of bytes of a stream.

They take as many receives as they need.  ``MSG_WAITALL`` cannot be used: Winsock refuses it on a
non-blocking socket, and Trio's sockets are non-blocking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .requests import AGAIN, MAX_RECEIVE, Completed, Into, Prepared

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The most memory that is reserved before any data has come, in bytes.
_MIN_RESERVED: Final = 1 << 20


class IncompleteReceiveError(EOFError):
    """The stream ended before an exact receive was complete.

    Attributes:
      partial: the bytes that were received before the end of the stream.
      expected: the number of bytes requested.
    """

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(f"the stream ended after {len(partial)} of {expected} bytes")
        self.partial = partial
        self.expected = expected

    def __reduce__(self) -> tuple[type[IncompleteReceiveError], tuple[bytes, int], dict[str, Any]]:
        return type(self), (self.partial, self.expected), self.__dict__


class Exactly(Into):
    """The first ``nbytes`` bytes of a buffer, all of them."""

    def __init__(self, buffer: Buffer, nbytes: int) -> None:
        super().__init__(buffer, nbytes)
        self._expected = nbytes

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Any:
        filled = self.filled + nbytes
        if filled < self._expected:
            if not nbytes:
                error = IncompleteReceiveError(self._bytes(0, filled), self._expected)
                self.filled = 0  # since these bytes are not pushed back
                raise error
            self.room = self._next_room(filled)
            self.filled = filled
            return AGAIN
        result = self._result()
        self.filled = filled
        return result

    def part(self, completed: Prepared, nbytes: int) -> bytes:
        self.filled += nbytes  # they are in the buffer already, so `received` gives them
        return b""

    def _next_room(self, filled: int) -> int:
        return min(self._expected - filled, MAX_RECEIVE)

    def _result(self) -> Any:
        return self._expected


class ExactBytes(Exactly):
    """Exactly ``nbytes`` bytes, in memory that grows as data comes, not as a peer announces it."""

    _buffer: bytearray

    def __init__(self, nbytes: int) -> None:
        super().__init__(bytearray(min(nbytes, _MIN_RESERVED)), nbytes)
        self.room = len(self._buffer)

    def _next_room(self, filled: int) -> int:
        if filled == len(self._buffer):
            # A new one: the old one is still exported and cannot be resized.
            self._buffer = self._buffer + bytes(min(self._expected - filled, filled))
        return min(len(self._buffer) - filled, MAX_RECEIVE)

    def _result(self) -> Any:
        return self._bytes(0, self._expected)

    def received(self) -> bytes | memoryview:
        return memoryview(self._buffer)[: self.filled]  # no copy: nobody else has the buffer
