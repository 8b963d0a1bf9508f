"""Requests: what a program asks for when it receives.

A request prepares an operation, and makes the result when it has completed.  It makes no system
call and knows no socket.  If it needs several receives, each completion but the last answers
`AGAIN`.  Each adds its bytes to `filled`, unless it fails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar

from .._winsock.buffers import bytes_of
from .._winsock.calls import winsock_error
from .._winsock.codes import MsgFlag, WinsockError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from .._winsock.parse import AncillaryData

# Plain integers: the operators of an enum are Python code.
PEEK: Final = int(MsgFlag.MSG_PEEK)
OOB: Final = int(MsgFlag.MSG_OOB)
TRUNCATED: Final = int(MsgFlag.MSG_TRUNC)

#: The most bytes that one receive asks for.
MAX_RECEIVE: Final = 1 << 30
#: More bytes than a socket has waiting: no memory is reserved for more.
MAX_WAITING: Final = 16 * 1024 * 1024

#: The answer of a request that needs another receive.
AGAIN: Final = None

T = TypeVar("T")
Answer: TypeAlias = "T | None"


class Completed(Protocol):
    """A completed receive: the bytes, their sender, control messages and flags."""

    def unpack(self, nbytes: int, /) -> bytes: ...
    def sender(self) -> Any: ...
    def message(self, flags: int, control_size: int, /) -> tuple[AncillaryData, int, Any]: ...


class Prepared(Completed, Protocol):
    """What a request prepares: a Winsock operation, or a call of the standard library."""

    is_stream: bool

    def set_memory(self, nbytes: int, flags: int, /) -> None: ...
    def set_buffer(self, buffer: Buffer, offset: int, nbytes: int, flags: int, /) -> None: ...
    def set_buffers(
        self, buffers: Sequence[Buffer], offset: int, nbytes: int, flags: int, /
    ) -> None: ...
    def set_control_size(self, size: int, /) -> None: ...
    def view(self, nbytes: int, /) -> memoryview: ...


class Request(ABC, Generic[T]):
    """What a program asks for; its result has the type ``T``."""

    #: The method of `socket.socket` that does the same.
    method: str
    #: The flags to receive with.
    flags: int
    #: How many bytes it has room for.
    room: int
    #: How many bytes of a stream it asks for, in memory of the engine; 0 if it has a buffer.
    wants: int = 0
    #: The room for ancillary data, in bytes.
    control_size: int = 0
    #: Whether a datagram is received by ``WSARecvMsg``.
    is_message: bool = False
    #: How many bytes earlier completions have received.
    filled: int = 0

    @abstractmethod
    def prepare(self, operation: Prepared, nbytes: int) -> None:
        """Make an operation receive up to ``nbytes`` bytes, and set its flags."""

    @abstractmethod
    def complete(self, completed: Completed, nbytes: int, flags: int) -> Answer[T]:
        """Make the result of a completed receive from its number of bytes and its flags."""

    def store(self, data: bytes | memoryview) -> None:
        """Put bytes that were pushed back where the system would have put them."""

    def part(self, completed: Prepared, nbytes: int) -> bytes | memoryview:
        """Return the bytes of a completion that failed, to be pushed back."""
        return completed.view(nbytes)

    def received(self) -> bytes | memoryview:
        """Return the bytes of earlier completions, to be pushed back."""
        return b""


class Bytes(Request[Any]):
    """Up to ``nbytes`` bytes, with their sender if asked for.

    Of a stream there is at least one byte, unless it has ended.
    """

    method = "recv"

    def __init__(self, nbytes: int, flags: int = 0) -> None:
        self.room = nbytes if nbytes < MAX_WAITING else MAX_WAITING
        self.flags = flags
        if not flags & OOB:
            self.wants = self.room

    def prepare(self, operation: Prepared, nbytes: int) -> None:
        operation.set_memory(nbytes, self.flags)

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Any:
        if flags and flags & TRUNCATED:
            raise _truncated(completed.unpack(nbytes))
        return completed.unpack(nbytes)


class BytesFrom(Bytes):
    """Up to ``nbytes`` bytes, with their sender."""

    method = "recvfrom"

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Any:
        if flags and flags & TRUNCATED:
            raise _truncated(completed.unpack(nbytes))
        return completed.unpack(nbytes), completed.sender()


#: Those two have no state and programs use few sizes, so one is made for each size.
bytes_request = lru_cache(maxsize=256)(Bytes)
bytes_from_request = lru_cache(maxsize=256)(BytesFrom)


class Datagram(tuple[bytes, Any]):
    """A datagram of `Socket.recvfrom_many`: a tuple ``(data, address)``.

    Attributes:
      truncated: whether ``data`` is only its beginning, since there was no room for the rest.
    """

    truncated: bool = False

    def __repr__(self) -> str:
        return f"Datagram(data={self[0]!r}, address={self[1]!r}, truncated={self.truncated})"

    @property
    def data(self) -> bytes:
        """The bytes of the datagram."""
        return self[0]

    @property
    def address(self) -> Any:
        """The sender's address, as `socket.socket.recvfrom` gives it."""
        return self[1]


class OneOfMany(Bytes):
    """Up to ``nbytes`` bytes of a datagram, with its sender, and whether that is all of it."""

    method = "recvmsg"

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Datagram:
        datagram = Datagram((completed.unpack(nbytes), completed.sender()))
        if flags & TRUNCATED:
            datagram.truncated = True
        return datagram


class Into(Request[Any]):
    """Up to ``nbytes`` bytes into a buffer: their number."""

    method = "recv_into"

    def __init__(self, buffer: Buffer, nbytes: int, flags: int = 0) -> None:
        self.room = nbytes if nbytes < MAX_RECEIVE else MAX_RECEIVE
        self.flags = flags
        self._buffer = buffer

    def prepare(self, operation: Prepared, nbytes: int) -> None:
        operation.set_buffer(self._buffer, self.filled, nbytes, self.flags)

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Any:
        if flags and flags & TRUNCATED:
            raise _truncated(self._bytes(0, nbytes))
        return nbytes

    def store(self, data: bytes | memoryview) -> None:
        with bytes_of(self._buffer) as view:
            view[self.filled : self.filled + len(data)] = data

    def part(self, completed: Prepared, nbytes: int) -> bytes | memoryview:
        return self._bytes(self.filled, self.filled + nbytes)

    def received(self) -> bytes | memoryview:
        return self._bytes(0, self.filled)

    def _bytes(self, start: int, end: int) -> bytes:
        with bytes_of(self._buffer) as view:
            return bytes(view[start:end])


class IntoFrom(Into):
    """Up to ``nbytes`` bytes into a buffer: their number, with their sender."""

    method = "recvfrom_into"

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Any:
        return super().complete(completed, nbytes, flags), completed.sender()


def _truncated(data: bytes) -> OSError:
    # The error of a datagram that did not fit.
    error = winsock_error(WinsockError.WSAEMSGSIZE)
    error.partial = data  # type: ignore[attr-defined]
    return error
