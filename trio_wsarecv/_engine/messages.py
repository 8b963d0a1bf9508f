"""What a program asks for when it wants more than bytes: several buffers, flags, ancillary data.

``WSARecv`` fills several buffers one after the other, without holes, as if they were one.  Where a
stream has ``MSG_WAITALL`` it takes as many receives as it needs: Winsock refuses that flag on a
non-blocking socket, and a Trio socket is one.

Where the standard library has ``recvmsg``, that is called when the socket is readable.  On
Windows, where it has none, ``WSARecvMsg`` serves datagrams; a stream has no ancillary data there,
and ``WSARecv`` gives all there is.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._winsock.buffers import bytes_of
from .._winsock.calls import ffi
from .._winsock.codes import MsgFlag, WinsockError
from .._winsock.datagram import MAX_DATAGRAM, DatagramOperation, MessageOperation
from .._winsock.operation import MAX_RECEIVE
from .requests import AGAIN, MAX_WAITING, OOB, TRUNCATED, Answer, Bytes, Request, offered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from .._winsock.operation import Operation
    from .._winsock.parse import AncillaryData
    from .receiver import Receiver


class ReceiveResult(NamedTuple):
    """What `wsarecv` returns.

    Attributes:
      nbytes: how many bytes have been received.
      flags: ``MSG_TRUNC`` if they are the beginning of a datagram whose rest is lost,
          ``MSG_PARTIAL`` if they are part of a message, ``MSG_OOB`` if they are out of band.
    """

    nbytes: int
    flags: MsgFlag


# Plain integers, whose complement has all the bits that no flag uses.
_NOT_WITH_WAITALL: Final = int(MsgFlag.MSG_OOB | MsgFlag.MSG_PEEK | MsgFlag.MSG_PARTIAL)
_IN: Final = _NOT_WITH_WAITALL | int(MsgFlag.MSG_WAITALL | MsgFlag.MSG_PUSH_IMMEDIATE)
_MESSAGE_FLAGS: Final = (
    MsgFlag.MSG_TRUNC | MsgFlag.MSG_CTRUNC | MsgFlag.MSG_BCAST | MsgFlag.MSG_MCAST
)

# Where the standard library can scatter, that is off Windows, the flags have other values.
_STDLIB_FLAGS: Final = [
    (getattr(socket, flag.name or "", 0), flag) for flag in (MsgFlag.MSG_OOB, MsgFlag.MSG_TRUNC)
]

# The most buffers that one call is given: systems have a limit, and a stream can be received in
# parts.
_MAX_BUFFERS: Final = 1024


def check_request(flags: int, sizes: Sequence[int], kind: int) -> WinsockError | None:
    """Return the error of a request that the documentation of ``WSARecv`` rules out, if it does."""
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
    """Up to as many bytes as several buffers hold; with ``MSG_WAITALL`` no less, on a stream."""

    def __init__(self, buffers: Sequence[Buffer], sizes: Sequence[int], flags: int) -> None:
        self.room = sum(sizes)
        self.flags = flags & ~int(MsgFlag.MSG_WAITALL)
        self.wants = 0
        self._buffers = buffers
        self._filled = 0
        self._flags_out = 0
        self._waits_for_all = bool(flags & MsgFlag.MSG_WAITALL and self.room)
        self._whole: bytearray | None = None

    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        nbytes = offered(MAX_RECEIVE, receiver) if repeated else MAX_RECEIVE
        if len(self._buffers) == 1:  # which needs no array
            nbytes = min(nbytes, self.room)
            operation.set_buffer(self._buffers[0], self._filled, nbytes, self.flags)
            return
        buffers, offset = self._targets(is_stream=receiver.is_stream)
        operation.set_buffers(buffers, offset, nbytes, self.flags)

    def _targets(
        self, *, is_stream: bool, largest: int = MAX_DATAGRAM
    ) -> tuple[Sequence[Buffer], int]:
        # What one call is given: a stream is received in parts, a datagram all at a time.
        if is_stream:
            return _window(self._buffers, self._filled)
        if len(self._buffers) >= _MAX_BUFFERS:  # since one more comes behind them
            self._whole = bytearray(min(self.room, largest))
            return [self._whole], 0
        return self._buffers, 0

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Answer[Any]:
        return self._count(nbytes, _flags_out(flags, self.flags, nbytes))

    def _count(self, nbytes: int, flags: int) -> Answer[Any]:
        if self._whole is not None:
            _spread(self._whole[:nbytes], self._buffers, 0)
        self._filled += nbytes
        self.room -= nbytes
        self._flags_out |= flags
        if self._waits_for_all and nbytes and self.room:
            return AGAIN
        return ReceiveResult(self._filled, MsgFlag(self._flags_out))

    def call_stdlib(self, sock: socket.socket) -> tuple[int, Answer[Any]]:
        native = self.flags & (MsgFlag.MSG_OOB | MsgFlag.MSG_PEEK)
        # Off Windows there are datagrams that do not cross a network, and they may be larger.
        is_stream = sock.type == socket.SOCK_STREAM
        buffers, offset = self._targets(is_stream=is_stream, largest=MAX_WAITING)
        with _parts(buffers, offset) as parts:
            nbytes, _, native_flags, _ = sock.recvmsg_into(parts, 0, native)  # type: ignore[attr-defined, unused-ignore]
        flags = sum(int(flag) for value, flag in _STDLIB_FLAGS if native_flags & value)
        return nbytes, self._count(nbytes, flags)

    def take(self, data: bytes) -> Answer[Any]:
        _spread(data, self._buffers, self._filled)
        return self._count(len(data), 0)

    def received(self) -> bytes:
        data = bytearray()
        for buffer in self._buffers:
            with bytes_of(buffer) as view:
                data += view[: self._filled - len(data)]
        return bytes(data)


class Message(Bytes):
    """Up to ``nbytes`` bytes of a datagram, with ancillary data, flags and address."""

    def __init__(self, nbytes: int, control_size: int, flags: int) -> None:
        super().__init__(nbytes, flags)
        self._control_size = control_size

    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        if isinstance(operation, MessageOperation):
            operation.set_control_size(self._control_size)
        super().prepare(operation, receiver, repeated)

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Any:
        data = ffi.unpack(operation.target, nbytes)
        return data, *_come_along(operation, self.flags, nbytes, flags)

    def call_stdlib(self, sock: socket.socket) -> tuple[int, Any]:
        message = sock.recvmsg(self.room, self._control_size, self.flags)  # type: ignore[attr-defined, unused-ignore]
        return len(message[0]), message


class MessageInto(Scattered):
    """Up to as many bytes as several buffers hold, with ancillary data, flags and address."""

    def __init__(
        self, buffers: Sequence[Buffer], sizes: Sequence[int], control_size: int, flags: int
    ) -> None:
        super().__init__(buffers, sizes, flags)
        self._control_size = control_size

    def prepare(self, operation: Operation, receiver: Receiver, repeated: bool) -> None:
        if isinstance(operation, MessageOperation):
            operation.set_control_size(self._control_size)
        super().prepare(operation, receiver, repeated)

    def complete(self, operation: Operation, nbytes: int, flags: int) -> Any:
        answer = super().complete(operation, nbytes, flags)
        if answer is AGAIN:
            return answer
        return answer.nbytes, *_come_along(operation, self.flags, nbytes, flags)

    def call_stdlib(self, sock: socket.socket) -> tuple[int, Any]:
        with _parts(self._buffers, self._filled) as parts:
            nbytes, *rest = sock.recvmsg_into(parts, self._control_size, self.flags)  # type: ignore[attr-defined, unused-ignore]
        return nbytes, (self._filled + nbytes, *rest)

    def take(self, data: bytes) -> Any:
        answer = super().take(data)
        return answer if answer is AGAIN else (answer.nbytes, [], 0, None)


def _come_along(
    operation: Operation, flags_in: int, nbytes: int, flags: int
) -> tuple[AncillaryData, int, Any]:
    # What comes with the data of a message: control messages, flags and address.
    if isinstance(operation, MessageOperation):
        flags = int(operation.flags() & _MESSAGE_FLAGS) | flags & TRUNCATED
        return operation.ancillary_data(), flags, operation.sender()
    sender = operation.sender() if isinstance(operation, DatagramOperation) else None
    return [], _flags_out(flags, flags_in, nbytes), sender


def _flags_out(flags: int, flags_in: int, nbytes: int) -> int:
    # Winsock reports out-of-band data by a status, or just by succeeding.
    return flags | (flags_in & OOB if nbytes else 0)


def _window(buffers: Sequence[Buffer], offset: int) -> tuple[Sequence[Buffer], int]:
    # As many buffers as one call is given, from the one on that the offset lies in.
    first = 0
    while first < len(buffers) - 1 and offset >= (size := memoryview(buffers[first]).nbytes):
        offset -= size
        first += 1
    return buffers[first : first + _MAX_BUFFERS], offset


@contextmanager
def _parts(buffers: Sequence[Buffer], offset: int) -> Iterator[list[memoryview]]:
    # The buffers as views of bytes from the offset on, for no longer than the block lasts.
    with ExitStack() as views:
        parts = []
        for buffer in buffers:
            view = views.enter_context(bytes_of(buffer))
            parts.append(views.enter_context(view[min(offset, len(view)) :]))
            offset -= min(offset, len(view))
        yield parts


def _spread(data: bytes | bytearray, buffers: Sequence[Buffer], offset: int) -> None:
    # Writes bytes into several buffers as if they were one, from the offset on.
    with _parts(buffers, offset) as parts:
        for part in parts:
            size = min(len(part), len(data))
            part[:size] = data[:size]
            data = data[size:]
