"""What a program asks for when it receives.

A request says how to prepare an operation, and what to make of its completion.  It says the same
for the standard library's own call, by which a socket is received on off Windows, and for bytes
that were pushed back.  Where all of it takes several receives, each answers `AGAIN` but the last.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from .._winsock.buffers import bytes_of
from .._winsock.calls import ffi, winsock_error
from .._winsock.codes import MsgFlag, WinsockError
from .._winsock.datagram import MAX_DATAGRAM, DatagramOperation
from .._winsock.operation import MAX_RECEIVE, MIN_RECEIVE_SIZE
from .._winsock.parse import NO_SENDER
from .memory import MAX_RECEIVE_SIZE

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

    from .._winsock.operation import Operation
    from .receiver import Receiver

# As plain integers, whose operators are not written in Python.
PEEK: Final = int(MsgFlag.MSG_PEEK)
OOB: Final = int(MsgFlag.MSG_OOB)
TRUNCATED: Final = int(MsgFlag.MSG_TRUNC)

#: About the most bytes that a socket can have waiting: no memory is reserved for more.
MAX_WAITING: Final = 16 * 1024 * 1024

# How many bytes of an exact receive memory is reserved for before any has come.
_MIN_RESERVED: Final = 1 << 20

# What the standard library gives as the sender of a stream's bytes.
_STDLIB_SENDER: Final = NO_SENDER if sys.platform == "win32" else None

#: The answer of a request that needs another receive.
AGAIN: Final = None

T = TypeVar("T")
Answer: TypeAlias = "T | None"


class Request(ABC, Generic[T]):
    """What a program asks for; its result is of the type ``T``."""

    #: The flags to receive with.
    flags: int
    #: How many bytes it has room for; it takes no more of those that were pushed back.
    room: int
    #: How many bytes of a stream it asks for where it makes bytes; 0 if it fills a buffer.
    wants: int
    #: Whether it takes ``WSARecvMsg``.
    is_message: bool = False

    @abstractmethod
    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        """Set buffers and flags; few bytes of a stream, if the receive has been given up before."""

    @abstractmethod
    def complete(self, operation: Operation, nbytes: int, flags: int) -> Answer[T]:
        """Make the result of a completion: so many bytes, and the flags that came out."""

    @abstractmethod
    def call_stdlib(self, sock: socket.socket) -> tuple[int, Answer[T]]:
        """Receive by the standard library, without waiting; return the number of bytes, too."""

    @abstractmethod
    def take(self, data: bytes) -> Answer[T]:
        """Make the result of bytes that were pushed back."""

    def received(self) -> bytes:
        """Return what earlier receives have given, for it to be pushed back."""
        return b""


class Bytes(Request[Any]):
    """Up to ``nbytes`` bytes, with their sender if asked for.

    Of a stream there is at least one byte, unless it has ended.  They are received into the
    operation's own memory, or into a block of the run's.
    """

    def __init__(self, nbytes: int, flags: int = 0, *, with_sender: bool = False) -> None:
        self.room = min(nbytes, MAX_WAITING)
        self.flags = flags
        self.wants = 0 if flags & OOB else min(nbytes, MAX_RECEIVE_SIZE)
        self._with_sender = with_sender

    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        nbytes = self.room
        target = operation.small
        if nbytes > MIN_RECEIVE_SIZE:
            if isinstance(operation, DatagramOperation):
                nbytes = min(nbytes, MAX_DATAGRAM)
                target = operation.reserve(nbytes)
            else:
                large = receiver.receive_size > MIN_RECEIVE_SIZE or self.flags & PEEK
                if self.wants and large and not repeated:
                    receiver.borrow_block(operation)
                nbytes = MIN_RECEIVE_SIZE if operation.block is None else self.wants
                target = operation.block or target
        operation.target = operation.wsabuf.buf = target
        operation.wsabuf.len = operation.room = nbytes
        operation.memory.flags = self.flags

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Any:
        data: bytes = ffi.unpack(operation.target, nbytes)
        if flags and flags & TRUNCATED:
            raise _truncated(data)
        return (data, operation.sender()) if self._with_sender else data

    def call_stdlib(self, sock: socket.socket) -> tuple[int, Any]:
        if self._with_sender:
            data, sender = sock.recvfrom(self.room, self.flags)
            return len(data), (data, sender)
        data = sock.recv(self.room, self.flags)
        return len(data), data

    def take(self, data: bytes) -> Any:
        return (data, _STDLIB_SENDER) if self._with_sender else data


#: `Bytes`, which has no state, made once for each size: programs ask for the same again and again.
bytes_request = lru_cache(maxsize=256)(Bytes)


class Into(Request[Any]):
    """Up to ``nbytes`` bytes into a buffer: their number, with their sender if asked for."""

    def __init__(
        self, buffer: Buffer, nbytes: int, flags: int = 0, *, with_sender: bool = False
    ) -> None:
        self.room = nbytes if nbytes < MAX_RECEIVE else MAX_RECEIVE
        self.flags = flags
        self.wants = 0
        self._buffer = buffer
        self._filled = 0
        self._with_sender = with_sender

    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        nbytes = offered(self.room, receiver) if repeated else self.room
        operation.set_buffer(self._buffer, self._filled, nbytes, self.flags)

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Any:
        if flags and flags & TRUNCATED:
            with bytes_of(self._buffer) as view:
                raise _truncated(bytes(view[:nbytes]))
        return (nbytes, operation.sender()) if self._with_sender else nbytes

    def call_stdlib(self, sock: socket.socket) -> tuple[int, Any]:
        if self._with_sender:
            nbytes, sender = sock.recvfrom_into(self._buffer, self.room, self.flags)
            return nbytes, (nbytes, sender)
        with bytes_of(self._buffer) as view, view[self._filled :] as rest:
            nbytes = sock.recv_into(rest, self.room, self.flags)
        return nbytes, self._count(nbytes)

    def take(self, data: bytes) -> Any:
        with bytes_of(self._buffer) as view:
            view[self._filled : self._filled + len(data)] = data
        return self._count(len(data))

    def received(self) -> bytes:
        with bytes_of(self._buffer) as view:
            return bytes(view[: self._filled])

    def _count(self, nbytes: int) -> Any:
        return (nbytes, _STDLIB_SENDER) if self._with_sender else nbytes


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

    def __reduce__(self) -> tuple[type[IncompleteReceiveError], tuple[bytes, int]]:
        return type(self), (self.partial, self.expected)


class Exactly(Into):
    """The first ``nbytes`` bytes of a buffer, all of them."""

    def __init__(self, buffer: Buffer, nbytes: int) -> None:
        super().__init__(buffer, nbytes)
        self._missing = nbytes

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Any:
        return self._count(nbytes)

    def _count(self, nbytes: int) -> Any:
        self._filled += nbytes
        self._missing -= nbytes
        if not self._missing:
            return self._result()
        if not nbytes:
            partial, self._filled = self.received(), 0  # since they are not pushed back
            raise IncompleteReceiveError(partial, len(partial) + self._missing)
        self.room = self._next_room()
        return AGAIN

    def _next_room(self) -> int:
        return min(self._missing, MAX_RECEIVE)

    def _result(self) -> Any:
        return self._filled


class ExactBytes(Exactly):
    """Exactly ``nbytes`` bytes, in memory that grows as they come, not as a peer announces them."""

    _buffer: bytearray

    def __init__(self, nbytes: int) -> None:
        super().__init__(bytearray(min(nbytes, _MIN_RESERVED)), nbytes)
        self.room = len(self._buffer)

    def _next_room(self) -> int:
        if self._filled == len(self._buffer):
            # Another one, since this one is still exported and cannot be resized.
            self._buffer = self._buffer + bytes(min(self._missing, self._filled))
        return min(len(self._buffer) - self._filled, MAX_RECEIVE)

    def _result(self) -> bytes:
        return self.received()


def offered(nbytes: int, receiver: Receiver) -> int:
    """Return how much of a program's buffers to offer after a receive into all was given up."""
    return min(nbytes, MIN_RECEIVE_SIZE) if receiver.is_stream else nbytes


def _truncated(data: bytes) -> OSError:
    # The error of a datagram that did not fit.
    error = winsock_error(WinsockError.WSAEMSGSIZE)
    error.partial = data  # type: ignore[attr-defined]
    return error
