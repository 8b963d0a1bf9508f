"""Receiving with the sender's address, and with what came along with a datagram.

Where the standard library has ``recvmsg``, that is called when the socket is readable.  On
Windows, where it has none, ``WSARecvMsg`` serves datagrams; a stream has no ancillary data there,
and ``WSARecv`` gives all there is.
"""

from __future__ import annotations

import operator
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from . import _association, _readiness
from ._address import parse_address
from ._ancillary import AncillaryData
from ._buffers import bytes_of, writable_size
from ._codes import MsgFlag, WinsockError
from ._datagram import FromOperation, MessageOperation, wsarecvmsg_function
from ._operation import MAX_RECEIVE
from ._receive import perform, take_at_hand, truncated
from ._receiver import PEEK
from ._scatter import MAX_BUFFERS, MAX_DATAGRAM, ReceiveResult, receive_scattered, spread
from ._statistics import counters
from ._status import Outcome
from ._winsock import winsock_error

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from ._receiver import Receiver

#: What the calls that give bytes, and those that fill buffers, return.
Message: TypeAlias = tuple[bytes, AncillaryData, int, Any]
MessageInto: TypeAlias = tuple[int, AncillaryData, int, Any]

_MESSAGE_FLAGS: Final = (
    MsgFlag.MSG_TRUNC | MsgFlag.MSG_CTRUNC | MsgFlag.MSG_BCAST | MsgFlag.MSG_MCAST
)


@trio.lowlevel.enable_ki_protection
async def receive_from(
    sock: socket.socket, receiver: Receiver, nbytes: int, flags: int
) -> tuple[bytes, Any]:
    """Receive ``nbytes`` bytes at the most, and the address they came from."""
    receiver.check_free()
    if receiver.kept or receiver.deferred_error:
        data = await take_at_hand(sock, receiver, nbytes, flags)
        if data:
            return data, _stream_address()
    if receiver.uses_stdlib(sock, flags):
        data, address = await _readiness.perform(sock, partial(sock.recvfrom, nbytes, flags))
        counters.bytes += len(data)
        return data, address
    operation = FromOperation()
    operation.aim_at_own_buffer(min(nbytes, MAX_DATAGRAM), flags)
    verdict = await perform(sock, receiver, operation, flags)
    data = operation.take()
    if verdict.outcome is Outcome.TRUNCATED:
        raise truncated(data)
    return data, operation.sender()


@trio.lowlevel.enable_ki_protection
async def receive_from_into(
    sock: socket.socket, receiver: Receiver, buffer: Buffer, nbytes: int, flags: int
) -> tuple[int, Any]:
    """Receive up to ``nbytes`` bytes into a buffer, and the address they came from."""
    receiver.check_free()
    if receiver.kept or receiver.deferred_error:
        data = await take_at_hand(sock, receiver, nbytes, flags)
        if data:
            with bytes_of(buffer) as view:
                view[: len(data)] = data
            return len(data), _stream_address()
    if receiver.uses_stdlib(sock, flags):
        received, address = await _readiness.perform(
            sock, partial(sock.recvfrom_into, buffer, nbytes, flags)
        )
        counters.bytes += received
        return received, address
    operation = FromOperation()
    try:
        operation.aim_at(buffer, 0, nbytes, flags)
        verdict = await perform(sock, receiver, operation, flags)
    finally:
        operation.release()
    if verdict.outcome is Outcome.TRUNCATED:
        with bytes_of(buffer) as view:
            raise truncated(bytes(view[: operation.nbytes]))
    return operation.nbytes, operation.sender()


def _stream_address() -> Any:
    # What the standard library gives for a stream, whose receives have no sender.
    return parse_address(bytes(16)) if _association.on_windows else None


@trio.lowlevel.enable_ki_protection
async def receive_message(
    sock: socket.socket, receiver: Receiver, nbytes: int, control_size: int, flags: int
) -> Message:
    """Receive a message of ``nbytes`` bytes at the most, with its ancillary data."""
    receiver.check_free()
    if hasattr(sock, "recvmsg"):
        if receiver.kept or receiver.deferred_error:
            nbytes, control_size, flags = _check(nbytes, control_size, flags)
            data = await take_at_hand(sock, receiver, nbytes, flags)
            if data:
                return data, [], 0, None
        receiver.is_overlapped(sock)  # to be counted
        message: Message = await _readiness.perform(
            sock, lambda: sock.recvmsg(nbytes, control_size, flags)
        )
        counters.bytes += len(message[0])
        return message
    nbytes, control_size, flags = _check(nbytes, control_size, flags)
    nbytes = min(nbytes, MAX_DATAGRAM)
    if receiver.is_stream:
        buffer = bytearray(nbytes)
        result = await _receive_scattered(sock, receiver, [buffer], flags)
        return bytes(buffer[: result.nbytes]), [], int(result.flags), None
    operation = await _message_operation(sock, control_size, flags)
    operation.aim_at_own_buffer(nbytes, flags)
    out = await _perform(sock, receiver, operation, flags)
    return operation.take(), operation.ancillary_data(), out, operation.sender()


@trio.lowlevel.enable_ki_protection
async def receive_message_into(
    sock: socket.socket,
    receiver: Receiver,
    buffers: Sequence[Buffer],
    control_size: int,
    flags: int,
) -> MessageInto:
    """Receive a message into several buffers, with its ancillary data."""
    receiver.check_free()
    if hasattr(sock, "recvmsg_into"):
        if receiver.kept or receiver.deferred_error:
            room = sum(map(_single_segment_size, buffers))
            _, control_size, flags = _check(0, control_size, flags)
            data = await take_at_hand(sock, receiver, room, flags)
            if data:
                spread(data, buffers, 0)
                return len(data), [], 0, None
        receiver.is_overlapped(sock)  # to be counted
        message: MessageInto = await _readiness.perform(
            sock, lambda: sock.recvmsg_into(buffers, control_size, flags)
        )
        counters.bytes += message[0]
        return message
    room = sum(map(_single_segment_size, buffers))
    _, control_size, flags = _check(0, control_size, flags)
    if receiver.is_stream:
        result = await _receive_scattered(sock, receiver, buffers, flags)
        return result.nbytes, [], int(result.flags), None
    if len(buffers) > MAX_BUFFERS:
        data, *rest = await receive_message(sock, receiver, room, control_size, flags)
        spread(data, buffers, 0)
        return len(data), *rest
    operation = await _message_operation(sock, control_size, flags)
    try:
        operation.aim_at_all(buffers, 0, flags)
        out = await _perform(sock, receiver, operation, flags)
    finally:
        operation.release()
    return operation.nbytes, operation.ancillary_data(), out, operation.sender()


def _check(nbytes: int, control_size: int, flags: int) -> tuple[int, int, int]:
    # Raises what the standard library raises on POSIX.
    nbytes, control_size, flags = map(operator.index, (nbytes, control_size, flags))
    if not -sys.maxsize <= nbytes <= sys.maxsize or not -sys.maxsize <= control_size <= sys.maxsize:
        raise OverflowError("Python int too large to convert to C ssize_t")
    if not -0x80000000 <= flags <= 0x7FFFFFFF:
        raise OverflowError("flags do not fit into a C int")
    if nbytes < 0:
        raise ValueError("negative buffer size in recvmsg()")
    if not 0 <= control_size <= MAX_RECEIVE:
        raise ValueError("invalid ancillary data buffer length")
    return nbytes, control_size, flags


def _single_segment_size(buffer: Buffer) -> int:
    try:
        return writable_size(buffer)
    except BufferError as exc:
        raise TypeError(str(exc)) from None


async def _receive_scattered(
    sock: socket.socket, receiver: Receiver, buffers: Sequence[Buffer], flags: int
) -> ReceiveResult:
    # Where nothing can be received there is nothing to wait for.
    if any(map(writable_size, buffers)):
        return await receive_scattered(sock, receiver, buffers, flags)
    await trio.lowlevel.checkpoint()
    return ReceiveResult(0, MsgFlag(0))


async def _message_operation(
    sock: socket.socket, control_size: int, flags: int
) -> MessageOperation:
    await trio.lowlevel.checkpoint()
    if flags & ~PEEK:
        raise winsock_error(WinsockError.WSAEOPNOTSUPP)
    return MessageOperation(wsarecvmsg_function(sock), control_size)


async def _perform(
    sock: socket.socket, receiver: Receiver, operation: MessageOperation, flags: int
) -> int:
    receiver.check_free()
    if receiver.deferred_error:
        await take_at_hand(sock, receiver, 0, flags)
    verdict = await perform(sock, receiver, operation, flags)
    out = operation.flags() & _MESSAGE_FLAGS
    if verdict.outcome is Outcome.TRUNCATED and not out & MsgFlag.MSG_CTRUNC:
        # Truncated control data gives the same status as a truncated datagram.
        out |= MsgFlag.MSG_TRUNC
    return int(out)
