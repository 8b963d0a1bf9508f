"""Requests with several buffers, flags or ancillary data.

``WSARecv`` fills several buffers one after the other, without gaps, as if they were one.  With
``MSG_WAITALL`` a stream takes as many receives as it needs, as an exact receive does.

On Windows ``WSARecvMsg`` serves datagrams; a stream has no ancillary data there, and ``WSARecv``
gives all there is.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._winsock.buffers import parts_of
from .._winsock.codes import MsgFlag, WinsockError
from .requests import (
    AGAIN,
    MAX_WAITING,
    OOB,
    Answer,
    Bytes,
    Completed,
    Prepared,
    Request,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer


class ReceiveResult(NamedTuple):
    """What `wsarecv` returns.

    Attributes:
      nbytes: how many bytes have been received.
      flags: ``MSG_TRUNC`` if they are the beginning of a datagram whose rest is lost,
          ``MSG_PARTIAL`` if they are part of a message, ``MSG_OOB`` if they are out of band.
    """

    nbytes: int
    flags: MsgFlag


# Plain integers: the complement of a flag has only the bits of its enum.
_NOT_WITH_WAITALL: Final = int(MsgFlag.MSG_OOB | MsgFlag.MSG_PEEK | MsgFlag.MSG_PARTIAL)
_IN: Final = _NOT_WITH_WAITALL | int(MsgFlag.MSG_WAITALL | MsgFlag.MSG_PUSH_IMMEDIATE)

# The most buffers that one call is given: systems have a limit, and a stream can be received in
# parts.
_MAX_BUFFERS: Final = 1024


def check_request(flags: int, sizes: Sequence[int], kind: int) -> WinsockError | None:
    """Return the error of a request that the documentation of ``WSARecv`` does not allow."""
    is_stream = kind == socket.SOCK_STREAM
    if not sizes:
        return WinsockError.WSAEINVAL
    if not is_stream and not any(sizes):
        # Winsock would take the datagram and drop all of it.
        return WinsockError.WSAEINVAL
    if flags & ~_IN:
        return WinsockError.WSAEOPNOTSUPP
    if flags & MsgFlag.MSG_OOB and not is_stream:
        return WinsockError.WSAEOPNOTSUPP
    if flags & MsgFlag.MSG_WAITALL and (not is_stream or flags & _NOT_WITH_WAITALL):
        return WinsockError.WSAEOPNOTSUPP
    return None


class Scattered(Request[Any]):
    """As many bytes as several buffers hold, at most; with ``MSG_WAITALL`` also at least."""

    method = "recvmsg_into"

    def __init__(
        self, buffers: Sequence[Buffer], sizes: Sequence[int], flags: int, *, waits_for_all: bool
    ) -> None:
        self.room = sum(sizes)
        self.flags = flags
        self._buffers = buffers
        self._flags_out = 0
        self._waits_for_all = waits_for_all
        self._whole: bytearray | None = None

    def prepare(self, operation: Prepared, nbytes: int) -> None:
        operation.set_control_size(self.control_size)
        if len(self._buffers) == 1:  # no array is needed
            operation.set_buffer(self._buffers[0], self.filled, nbytes, self.flags)
            return
        # The buffers of one call: a stream can be received in parts, a datagram cannot.
        buffers, offset = self._buffers, 0
        if operation.is_stream:
            buffers, offset = _window(buffers, self.filled)
        elif len(buffers) >= _MAX_BUFFERS:  # the operation adds one of its own
            self._whole = bytearray(min(self.room, MAX_WAITING))
            buffers = [self._whole]
        operation.set_buffers(buffers, offset, nbytes, self.flags)

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Answer[Any]:
        if self._whole is not None:
            _spread(self._whole[:nbytes], self._buffers, 0)
            self._whole = None
        flags = self._flags_out | _flags_out(flags, self.flags, nbytes)
        filled = self.filled + nbytes
        again = self._waits_for_all and 0 < nbytes < self.room
        answer = AGAIN if again else self._result(completed, filled, flags)
        self._flags_out = flags
        self.room -= nbytes
        self.filled = filled
        return answer

    def _result(self, completed: Completed, nbytes: int, flags: int) -> Any:
        return ReceiveResult(nbytes, MsgFlag(flags))

    def store(self, data: bytes | memoryview) -> None:
        _spread(data, self._buffers, self.filled)

    def part(self, completed: Prepared, nbytes: int) -> bytes:
        if self._whole is not None:
            return bytes(self._whole[:nbytes])
        with parts_of(self._buffers, self.filled) as parts:
            return b"".join(parts)[:nbytes]

    def received(self) -> bytes | memoryview:
        with parts_of(self._buffers, 0) as parts:
            return b"".join(parts)[: self.filled]


class Message(Bytes):
    """Up to ``nbytes`` bytes of a datagram, with ancillary data, flags and address."""

    method = "recvmsg"
    is_message = True

    def __init__(self, nbytes: int, control_size: int, flags: int) -> None:
        super().__init__(nbytes, flags)
        self.control_size = control_size

    def prepare(self, operation: Prepared, nbytes: int) -> None:
        operation.set_control_size(self.control_size)
        super().prepare(operation, nbytes)

    def complete(self, completed: Completed, nbytes: int, flags: int) -> Any:
        flags = _flags_out(flags, self.flags, nbytes)
        return completed.unpack(nbytes), *completed.message(flags, self.control_size)


class MessageInto(Scattered):
    """Up to as many bytes as several buffers hold, with ancillary data, flags and address."""

    is_message = True

    def __init__(
        self,
        buffers: Sequence[Buffer],
        sizes: Sequence[int],
        control_size: int,
        flags: int,
        *,
        waits_for_all: bool,
    ) -> None:
        super().__init__(buffers, sizes, flags, waits_for_all=waits_for_all)
        self.control_size = control_size

    def _result(self, completed: Completed, nbytes: int, flags: int) -> Any:
        return nbytes, *completed.message(flags, self.control_size)


class WholeMessage(MessageInto):
    """All of ``nbytes`` bytes of a stream, as a message."""

    def __init__(self, nbytes: int, control_size: int, flags: int) -> None:
        self._buffer = bytearray(nbytes)
        super().__init__([self._buffer], [nbytes], control_size, flags, waits_for_all=True)

    def _result(self, completed: Completed, nbytes: int, flags: int) -> Any:
        message = completed.message(flags, self.control_size)
        return bytes(memoryview(self._buffer)[:nbytes]), *message

    def received(self) -> memoryview:
        return memoryview(self._buffer)[: self.filled]  # no copy: nobody else has the buffer


def _flags_out(flags: int, flags_in: int, nbytes: int) -> int:
    # Winsock reports out-of-band data by a status, or just by succeeding.
    return flags | (flags_in & OOB if nbytes else 0)


def _window(buffers: Sequence[Buffer], offset: int) -> tuple[Sequence[Buffer], int]:
    # The buffers of one call, the first of which contains the offset.
    first = 0
    while first < len(buffers) - 1 and offset >= (size := memoryview(buffers[first]).nbytes):
        offset -= size
        first += 1
    return buffers[first : first + _MAX_BUFFERS], offset


def _spread(data: bytes | bytearray | memoryview, buffers: Sequence[Buffer], offset: int) -> None:
    # Writes bytes into several buffers as if they were one, from the offset on.
    with parts_of(buffers, offset) as parts:
        for part in parts:
            size = min(len(part), len(data))
            part[:size] = data[:size]
            data = data[size:]
    if data:
        raise ValueError("the buffer was resized during a receive")
