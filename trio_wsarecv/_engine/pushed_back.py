"""What the next receive gives before the system is asked.

A receive that fails halfway, usually because it is cancelled, leaves its bytes here.  So does one
whose result could not be made, for want of memory say, and there a datagram stays whole, with its
sender.  An error has to wait here when a receive has data to give, or was cancelled before.
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
    """Bytes of a stream or one datagram, and an error behind them.

    For a request it is what has completed.
    """

    __slots__ = ("_datagram", "_error_first", "_flags", "_owner", "data", "error", "something")

    def __init__(self) -> None:
        #: Whether there is anything: asked at each receive.
        self.something: bool = False
        #: The bytes; those of a datagram are received as a whole.
        self.data: bytes | memoryview = b""
        #: What the receive behind them fails with.
        self.error: BaseException | None = None
        self._flags = 0
        self._error_first = False
        self._datagram: Completed | None = None  # which knows its sender
        self._owner: object = None  # of the memory of a view

    def add(self, data: bytes | memoryview, owner: object = None) -> None:
        """Put bytes of a stream in front."""
        if self.data and data:
            data, owner = b"".join((data, self.data)), None
        if data:
            self.data, self._owner = memoryview(data), owner
            self.something = True

    def add_datagram(self, data: bytes | memoryview, datagram: Completed, flags: int) -> None:
        """Put a datagram here, with the operation that it was received by."""
        self.data, self._datagram, self._flags = data, datagram, flags
        self.something = True

    def defer(self, error: BaseException, *, first: bool = False) -> None:
        """Have the next receive fail, because this one has data to give or was cancelled.

        Args:
          error: what it fails with.
          first: whether that comes before a datagram that is here, since it could not be made.
        """
        self._error_first = first
        # Its traceback leads to the socket, which this must not keep alive.
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
          BaseException: the error that had to wait.
        """
        if self._datagram is not None and not (self.error and self._error_first):
            return self._give_datagram(request)
        while self.data and self._datagram is None:
            data = self.data[: request.room]
            request.store(data)
            answer = request.complete(self, len(data), 0)
            if not request.flags & PEEK:
                # Of a view the rest is no copy.  An empty one would keep them all.
                self.data = self.data[len(data) :]
                if not self.data:
                    self._forget_data()
            # An exact receive that reserves memory as bytes come takes them in parts.
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
        except OSError:  # which says that it did not fit
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
