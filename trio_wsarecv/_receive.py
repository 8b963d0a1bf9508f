"""Receiving on a socket, by whichever engine serves it.

These functions give what a program asked for: bytes, bytes in its own buffer, exactly so many of
them.  What they share is that nothing gets lost in between: bytes that were kept come first, an
error that had to wait comes next, and only then the engine is asked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from . import _overlapped, _readiness
from ._at_once import look, receive_at_once
from ._buffers import bytes_of
from ._codes import WinsockError
from ._receiver import LARGEST_POST, OOB, PEEK, SMALLEST_POST
from ._statistics import counters
from ._status import Outcome, Verdict, judge
from ._winsock import winsock_error

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

    from ._operation import Operation
    from ._receiver import Receiver


# How often to receive without letting other tasks run.
_MAX_AT_ONCE: Final = 32

# Larger blocks of memory, in bytes, go back to the system when they are freed, and each page of a
# new one costs a fault, which is dearer than copying it.  So what may give that many bytes is
# received into memory that stays, and copied from there.
_LARGEST_BLOCK: Final = 64 * 1024

# As many bytes as a socket may have waiting.  Memory is reserved for all that is asked for.
_MOST_WAITING: Final = 16 * 1024 * 1024


class IncompleteReceiveError(EOFError):
    """The stream ended inside a receive of an exact size.

    Attributes:
      partial: the bytes that came before the end.
      expected: how many bytes were asked for.
    """

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(f"the stream ended after {len(partial)} of {expected} bytes")
        self.partial = partial
        self.expected = expected

    def __reduce__(self) -> tuple[type[IncompleteReceiveError], tuple[bytes, int]]:
        return type(self), (self.partial, self.expected)


@trio.lowlevel.enable_ki_protection
async def receive_bytes(
    sock: socket.socket, receiver: Receiver, nbytes: int, flags: int = 0
) -> bytes:
    """Receive ``nbytes`` bytes at the most, and at least one unless the stream has ended."""
    receiver.check_free()
    if receiver.kept or receiver.deferred_error:
        data = await take_at_hand(sock, receiver, nbytes, flags)
        if data:
            return data
    if receiver.eager and not flags:
        # It is a stream, and what needs no waiting needs no engine.
        post = receiver.post
        room = min(post if post <= _LARGEST_BLOCK else _MOST_WAITING, nbytes)
        if _LARGEST_BLOCK < room <= LARGEST_POST:
            found = await _receive_much_at_once(sock, receiver, room)
        else:
            found = await receive_at_once(receiver, sock.recv, room)
        if found is not None:
            counters.bytes += len(found)
            if post <= nbytes:
                receiver.adapt(len(found))
            return found
    if (flags or not receiver.is_overlapped(sock)) and receiver.uses_stdlib(sock, flags):
        data = await _readiness.perform(sock, partial(sock.recv, nbytes, flags))
        counters.bytes += len(data)
        return data
    # A datagram that does not fit is cut off, so only a stream may be offered less than asked.
    adaptive = receiver.is_stream and not flags
    post = size = receiver.post if adaptive else min(nbytes, LARGEST_POST)
    if post > nbytes:
        post = nbytes
    operation = receiver.borrow_operation()
    operation.aim_at_own_buffer(post, flags, size)
    try:
        if adaptive:
            verdict = await _overlapped.perform(sock, receiver, operation)
        else:
            verdict = await perform(sock, receiver, operation, flags)
        data = operation.take()
    finally:
        receiver.return_operation(operation)
    if verdict.outcome is Outcome.TRUNCATED:
        raise truncated(data)
    if adaptive:
        receiver.eager = operation.at_once
        # What came later belongs to whoever has submitted another receive meanwhile.
        if len(data) == post < nbytes and receiver.operation is operation:
            data += _drain(sock, receiver, nbytes - post)
        if post == size and (len(data) >= post or post > SMALLEST_POST):
            receiver.adapt(len(data))
    return data


async def _receive_much_at_once(
    sock: socket.socket, receiver: Receiver, nbytes: int
) -> bytes | None:
    operation = receiver.borrow_operation()
    view = operation.own_buffer(LARGEST_POST)
    try:
        length = await receive_at_once(receiver, sock.recv_into, view, nbytes)
        return None if length is None else view[:length]
    finally:
        receiver.return_operation(operation)


async def perform(
    sock: socket.socket, receiver: Receiver, operation: Operation, flags: int
) -> Verdict:
    """Have an operation done by the engine that serves the socket, on Windows."""
    if not flags & PEEK and receiver.is_overlapped(sock):
        return await _overlapped.perform(sock, receiver, operation)
    await _readiness.perform(sock, lambda: operation.attempt(sock.fileno()))
    return judge(operation.status, operation.nbytes, cancelling=False, closing=False)


@trio.lowlevel.enable_ki_protection
async def receive_into(
    sock: socket.socket, receiver: Receiver, buffer: Buffer, nbytes: int, flags: int = 0
) -> int:
    """Receive up to ``nbytes`` bytes into the beginning of a buffer that holds as many."""
    receiver.check_free()
    return await _receive_into(sock, receiver, buffer, 0, nbytes, flags)


async def _receive_into(
    sock: socket.socket, receiver: Receiver, buffer: Buffer, offset: int, nbytes: int, flags: int
) -> int:
    if receiver.kept or receiver.deferred_error:
        data = await take_at_hand(sock, receiver, nbytes, flags)
        if data:
            with bytes_of(buffer) as view:
                view[offset : offset + len(data)] = data
            return len(data)
    if receiver.uses_stdlib(sock, flags):

        def attempt() -> int:
            with bytes_of(buffer) as view, view[offset : offset + nbytes] as part:
                return sock.recv_into(part, 0, flags)

        received = await _readiness.perform(sock, attempt)
        counters.bytes += received
        return received

    plain = receiver.is_stream and not flags
    if plain and receiver.eager:
        length = await _receive_into_at_once(sock, receiver, buffer, offset, nbytes)
        if length is not None:
            counters.bytes += length
            return length
    operation = receiver.borrow_operation()
    try:
        operation.aim_at(buffer, offset, nbytes, flags)
        verdict = await perform(sock, receiver, operation, flags)
        received = operation.nbytes
    finally:
        receiver.return_operation(operation)
    if verdict.outcome is Outcome.TRUNCATED:
        with bytes_of(buffer) as view:
            raise truncated(bytes(view[offset : offset + received]))
    if plain:
        receiver.eager = operation.at_once
    return received


async def _receive_into_at_once(
    sock: socket.socket, receiver: Receiver, buffer: Buffer, offset: int, nbytes: int
) -> int | None:
    if not offset:
        return await receive_at_once(receiver, sock.recv_into, buffer, nbytes)
    with bytes_of(buffer) as view, view[offset : offset + nbytes] as part:
        return await receive_at_once(receiver, sock.recv_into, part)


@trio.lowlevel.enable_ki_protection
async def receive_exactly_into(
    sock: socket.socket, receiver: Receiver, buffer: Buffer, nbytes: int
) -> None:
    """Fill the first ``nbytes`` bytes of a buffer; if that fails, keep what has come."""
    receiver.check_free()
    if not nbytes:
        await trio.lowlevel.checkpoint()
        return
    await trio.lowlevel.checkpoint_if_cancelled()
    filled = 0
    receiver.reserved = True
    try:
        while True:
            if receiver.eager and not receiver.kept and not receiver.deferred_error:
                filled = _fill_at_once(sock, receiver, buffer, filled, nbytes)
                if filled == nbytes:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                    return
            received = await _receive_into(sock, receiver, buffer, filled, nbytes - filled, 0)
            filled += received
            if filled == nbytes:
                return
            if not received:
                break
    except BaseException:
        with bytes_of(buffer) as view:
            receiver.keep(bytes(view[:filled]))
        raise
    finally:
        receiver.reserved = False
    with bytes_of(buffer) as view:
        raise IncompleteReceiveError(bytes(view[:filled]), nbytes)


def _fill_at_once(
    sock: socket.socket, receiver: Receiver, buffer: Buffer, filled: int, nbytes: int
) -> int:
    # Receives what is there already, and says how much of the buffer is filled then.  It stops
    # now and then, for a peer that never does must not keep the other tasks from running.
    with bytes_of(buffer) as view:
        for _ in range(_MAX_AT_ONCE):
            if filled == nbytes:
                break
            try:
                with view[filled:nbytes] as rest:
                    received = look(receiver, sock.recv_into, rest)
            except OSError as exc:
                receiver.defer(exc)
                break
            if not received:
                break
            counters.bytes += received
            filled += received
    return filled


async def take_at_hand(sock: socket.socket, receiver: Receiver, nbytes: int, flags: int) -> bytes:
    """Give what needs no engine: the bytes that were kept, or the error that had to wait.

    Returns:
      ``nbytes`` bytes at the most; ``b""`` if the engine has to be asked after all.
    """
    mine = receiver.reserved  # or else this call would have been refused
    await trio.lowlevel.checkpoint()
    receiver.check_free(mine=mine)
    if flags & OOB or sock.fileno() == -1:
        return b""
    if receiver.kept:
        if flags & PEEK:
            return receiver.kept[:nbytes]
        return receiver.take_kept(nbytes)
    error, receiver.deferred_error = receiver.deferred_error, None
    if error is not None:
        raise error
    return b""


def _drain(sock: socket.socket, receiver: Receiver, nbytes: int) -> bytes:
    # Takes what has arrived beyond the posted buffer, without waiting.
    if sock.fileno() == -1:
        return b""
    try:
        data = sock.recv(nbytes)
    except BlockingIOError:
        return b""
    except OSError as exc:
        receiver.defer(exc)
        return b""
    counters.bytes += len(data)
    return data


def truncated(data: bytes) -> OSError:
    """Return the error of a datagram that did not fit, with its beginning in ``partial``."""
    error = winsock_error(WinsockError.WSAEMSGSIZE)
    error.partial = data  # type: ignore[attr-defined]
    return error
