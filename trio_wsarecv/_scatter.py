"""Receiving into several buffers: ``WSARecv`` as Winsock has it, flags in and out.

The buffers are filled one after the other, without holes, as if they were one.

Winsock refuses ``MSG_WAITALL`` on a non-blocking socket, and a Trio socket is one.  Here it is
made of as many receives as it takes, so that cancelling it loses nothing.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from . import _readiness
from ._buffers import bytes_of, writable_size
from ._codes import MsgFlag, WinsockError
from ._operation import Operation
from ._receive import perform, take_at_hand
from ._statistics import counters
from ._winsock import winsock_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from ._receiver import Receiver


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
_IN: Final = int(
    MsgFlag.MSG_OOB
    | MsgFlag.MSG_PEEK
    | MsgFlag.MSG_WAITALL
    | MsgFlag.MSG_PUSH_IMMEDIATE
    | MsgFlag.MSG_PARTIAL
)
_NOT_WITH_WAITALL: Final = int(MsgFlag.MSG_OOB | MsgFlag.MSG_PEEK | MsgFlag.MSG_PARTIAL)


def check_request(flags: int, sizes: Sequence[int], kind: int) -> WinsockError | None:
    """Return the error of a request that the documentation of ``WSARecv`` rules out.

    Args:
      flags: the flags asked for.
      sizes: the sizes of the buffers, in bytes.
      kind: the type of the socket.
    """
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


@trio.lowlevel.enable_ki_protection
async def receive_scattered(
    sock: socket.socket, receiver: Receiver, buffers: Sequence[Buffer], flags: int
) -> ReceiveResult:
    """Receive into several buffers."""
    sizes = [writable_size(buffer) for buffer in buffers]
    error = check_request(flags, sizes, sock.type)
    if error is not None:
        await trio.lowlevel.checkpoint()
        raise winsock_error(error)
    receiver.check_free()
    room = sum(sizes)
    if not flags & MsgFlag.MSG_WAITALL or not room:
        return await _receive(sock, receiver, buffers, 0, room, flags & ~MsgFlag.MSG_WAITALL)

    filled = 0
    received_flags = MsgFlag(0)
    flags &= ~MsgFlag.MSG_WAITALL
    receiver.reserved = True
    try:
        while True:
            result = await _receive(sock, receiver, buffers, filled, room - filled, flags)
            filled += result.nbytes
            received_flags |= result.flags
            if filled == room or not result.nbytes:
                return ReceiveResult(filled, received_flags)
    except BaseException:
        receiver.keep(_gather(buffers, filled))
        raise
    finally:
        receiver.reserved = False


async def _receive(
    sock: socket.socket,
    receiver: Receiver,
    buffers: Sequence[Buffer],
    offset: int,
    room: int,
    flags: int,
) -> ReceiveResult:
    if receiver.kept or receiver.deferred_error:
        data = await take_at_hand(sock, receiver, room, flags)
        if data:
            spread(data, buffers, offset)
            return ReceiveResult(len(data), MsgFlag(0))
    if receiver.is_stream:
        buffers, offset = _window(buffers, offset)
    elif len(buffers) > MAX_BUFFERS:
        whole = bytearray(min(room, MAX_DATAGRAM))
        result = await _receive(sock, receiver, [whole], 0, len(whole), flags)
        spread(whole[: result.nbytes], buffers, 0)
        return result
    if hasattr(sock, "recvmsg_into") and not receiver.is_overlapped(sock):
        return await _readiness.perform(sock, partial(_recvmsg_into, sock, buffers, offset, flags))
    operation = Operation()
    try:
        operation.aim_at_all(buffers, offset, flags)
        verdict = await perform(sock, receiver, operation, flags)
        return ReceiveResult(operation.nbytes, verdict.flags)
    finally:
        operation.release()


#: The most buffers that one call is given: systems have a limit, and a stream can be received in
#: parts.
MAX_BUFFERS: Final = 1024

#: No datagram is larger than this, in bytes.
MAX_DATAGRAM: Final = 65536

# Where the standard library can scatter, that is off Windows, the flags have other values.
_FLAGS_OUT: Final = [
    (getattr(socket, flag.name or "", 0), flag) for flag in (MsgFlag.MSG_OOB, MsgFlag.MSG_TRUNC)
]


def _recvmsg_into(
    sock: socket.socket, buffers: Sequence[Buffer], offset: int, flags: int
) -> ReceiveResult:
    native = flags & (MsgFlag.MSG_OOB | MsgFlag.MSG_PEEK)
    with _parts(buffers, offset) as parts:
        received, _, native_flags, _ = sock.recvmsg_into(parts, 0, native)  # type: ignore[attr-defined, unused-ignore]
    counters.bytes += received
    flags_out = MsgFlag(0)
    for native_flag, flag in _FLAGS_OUT:
        if native_flags & native_flag:
            flags_out |= flag
    return ReceiveResult(received, flags_out)


def _window(buffers: Sequence[Buffer], offset: int) -> tuple[Sequence[Buffer], int]:
    first = 0
    while first < len(buffers) - 1 and offset >= (size := memoryview(buffers[first]).nbytes):
        offset -= size
        first += 1
    return buffers[first : first + MAX_BUFFERS], offset


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


def spread(data: bytes | bytearray, buffers: Sequence[Buffer], offset: int) -> None:
    """Write bytes into several buffers as if they were one, from ``offset`` on."""
    with _parts(buffers, offset) as parts:
        for part in parts:
            size = min(len(part), len(data))
            part[:size] = data[:size]
            data = data[size:]


def _gather(buffers: Sequence[Buffer], nbytes: int) -> bytes:
    data = bytearray()
    for buffer in buffers:
        with bytes_of(buffer) as view:
            data += view[: nbytes - len(data)]
    return bytes(data)
