"""Many datagrams at a time: one is received, and then whatever else has arrived is taken.

The first is received as any other, by one overlapped operation that waits if need be.  For those
behind it the same call is made without an ``OVERLAPPED``.  It completes inline or fails with
WSAEWOULDBLOCK, so no packet follows, and no turn of the run loop is taken.

A batch has no checkpoint between its datagrams, so none of it is lost to a cancellation.  An error
behind the first datagram has to wait for the next call.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from .._statistics import counters
from .._winsock.calls import ffi, winsock_error
from .._winsock.codes import WinsockError
from .requests import TRUNCATED, Bytes, Request

if TYPE_CHECKING:
    from .._winsock.operation import Operation
    from .receiver import Receiver

# As a plain integer, whose operators are not written in Python.
_WOULD_BLOCK: Final = int(WinsockError.WSAEWOULDBLOCK)

# POSIX's value; this module does not use it on Windows.
_STDLIB_TRUNCATED: Final = getattr(socket, "MSG_TRUNC", 0)


class Datagram(tuple[bytes, Any]):
    """A datagram of `Socket.recvfrom_many`: a tuple ``(data, address)``.

    Attributes:
      truncated: whether ``data`` is only its beginning, since there was no room for the rest.
    """

    truncated: bool = False

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

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Datagram:
        datagram = Datagram((ffi.unpack(operation.target, nbytes), operation.sender()))
        if flags & TRUNCATED:
            datagram.truncated = True
        return datagram

    def call_stdlib(self, sock: socket.socket) -> tuple[int, Datagram]:
        data, _, flags, sender = sock.recvmsg(self.room)  # type: ignore[attr-defined, unused-ignore]
        datagram = Datagram((data, sender))
        datagram.truncated = bool(flags & _STDLIB_TRUNCATED)
        return len(data), datagram


class Batch(Request[list[Any]]):
    """At least one and at most ``most`` results of a request for one datagram."""

    def __init__(self, one: Bytes, most: int, sock: socket.socket, receiver: Receiver) -> None:
        self.flags = one.flags
        self.room = one.room
        self.wants = one.wants
        self._one = one
        self._most = most
        self._sock = sock
        self._receiver = receiver

    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        self._one.prepare(operation, receiver, repeated)

    def complete(self, operation: Operation, nbytes: int, flags: int) -> list[Any]:
        complete = self._one.complete
        batch = [complete(operation, nbytes, flags)]
        # An error came with the first, or another task closed the socket while this one waited.
        if self._receiver.deferred_error or self._sock.fileno() == -1:
            return batch
        memory, room = operation.memory, operation.room
        for _ in range(1, self._most):
            counters.wsarecv_calls += 1
            memory.flags = self.flags
            error = operation.receive_nonblocking()
            if error:
                if error != _WOULD_BLOCK:
                    self._receiver.defer(winsock_error(error))
                break
            nbytes, flags = memory.received, 0
            if nbytes > room:
                nbytes, flags = room, TRUNCATED
            counters.bytes += nbytes
            batch.append(complete(operation, nbytes, flags))
        return batch

    def call_stdlib(self, sock: socket.socket) -> tuple[int, list[Any]]:
        nbytes, datagram = self._one.call_stdlib(sock)
        batch = [datagram]
        more = nbytes
        try:
            # No bytes from nobody may be the end of a connection, which can be received for ever.
            while len(batch) < self._most and (more or datagram[-1] is not None):
                more, datagram = self._one.call_stdlib(sock)
                nbytes += more
                batch.append(datagram)
        except BlockingIOError:
            pass
        except OSError as exc:
            self._receiver.defer(exc)
        return nbytes, batch

    def take(self, data: bytes) -> list[Any]:
        return [self._one.take(data)]
