"""What the next receive returns before the system is asked.

A receive that fails halfway, usually because it is cancelled, leaves its bytes here.  So does a
receive whose result could not be made, for example because memory is short; a datagram then stays
whole, with its sender.  An error waits here if the receive that met it returned data or was
cancelled.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from .._winsock.parse import NO_SENDER
from .requests import AGAIN, PEEK, TRUNCATED

if TYPE_CHECKING:
    from .._winsock.parse import AncillaryData
    from .requests import Answer, Completed, Request, T

# What the standard library gives as the sender of a stream's bytes.
_STREAM_SENDER: Final = NO_SENDER if sys.platform == "win32" else None


class PushedBack:
    """Bytes of a stream, or one datagram, and an error after them.

    A request sees it as a completed receive.
    """

    __slots__ = ("_datagram", "_error_first", "_flags", "_owner", "data", "error", "something")

    def __init__(self) -> None:
        #: Whether there is anything: checked by each receive.
        self.something: bool = False
        #: The bytes of a stream, or of one datagram.
        self.data: bytes | memoryview = b""
        #: What the receive after them raises.
        self.error: BaseException | None = None
        self._flags = 0
        self._error_first = False
        self._datagram: Completed | None = None  # has the datagram's sender and control messages
        self._owner: object = None  # of the memory of a view

    def add(self, data: bytes | memoryview, owner: object = None) -> None:
        """Put bytes of a stream before all else."""
        if self.data and data:
            data, owner = b"".join((data, self.data)), None
        if data:
            self.data, self._owner = memoryview(data), owner
            self.something = True

    def add_datagram(self, data: bytes | memoryview, datagram: Completed, flags: int) -> None:
        """Put a datagram here, with the operation that received it."""
        self.data, self._datagram, self._flags = data, datagram, flags
        self.something = True

    def defer(self, error: BaseException, *, first: bool = False) -> None:
        """Make the next receive raise an error, since this one returns data or was cancelled.

        Args:
          error: the error.
          first: whether it is raised before the datagram that is here: one that could not be
            returned because of this error.
        """
        self._error_first = first
        # Its traceback refers to the socket, which must not be kept alive.
        self.error = error.with_traceback(None)
        self.something = True

    def clear(self) -> None:
        """Forget all of it."""
        self.error = None
        self._forget_data()

    def _forget_data(self) -> None:
        self.data, self._datagram, self._owner = b"", None, None
        self.something = self.error is not None

    def give(self, request: Request[T]) -> Answer[T]:
        """Return the result of a request, or `AGAIN` if the system has to be asked.

        Raises:
          BaseException: the error that was deferred.
        """
        if self._datagram is not None and not (self.error and self._error_first):
            return self._give_datagram(request)
        while self.data and self._datagram is None:
            data = self.data[: request.room]
            request.store(data)
            answer = request.complete(self, len(data), 0)
            if not request.flags & PEEK:
                # A slice of a view is no copy.  An empty one would keep the memory alive.
                self.data = self.data[len(data) :]
                if not self.data:
                    self._forget_data()
            # An exact receive takes them in parts, as its memory grows.
            if answer is not AGAIN:
                return answer
        error, self.error = self.error, None
        self.something = self._datagram is not None
        if error is not None:
            raise error
        return AGAIN

    def _give_datagram(self, request: Request[T]) -> Answer[T]:
        data, flags = self.data[: request.room], self._flags
        if len(data) < len(self.data):
            flags |= TRUNCATED
        request.store(data)
        try:
            answer = request.complete(self, len(data), flags)
        except OSError:  # WSAEMSGSIZE: the program knows that the rest is lost
            if not request.flags & PEEK:
                self._forget_data()
            raise
        if not request.flags & PEEK:
            self._forget_data()
        return answer

    def unpack(self, nbytes: int) -> bytes:
        """Return the first bytes."""
        return bytes(self.data[:nbytes])

    def sender(self) -> Any:
        """Return the address of the datagram's sender."""
        return _STREAM_SENDER if self._datagram is None else self._datagram.sender()

    def message(self, flags: int, control_size: int) -> tuple[AncillaryData, int, Any]:
        """Return what came along with the data of a message."""
        if self._datagram is None:
            return [], flags, None
        return self._datagram.message(flags, control_size)
