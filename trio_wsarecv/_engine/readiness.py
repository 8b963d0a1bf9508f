"""The readiness engine: wait until the socket is readable, then receive without blocking.

It serves where no overlapped receive is possible: off Windows, on a socket that already belongs to
another completion port, with a provider whose handles are not the file system's, and for
``MSG_PEEK``, which Winsock documents for non-overlapped sockets only.  A receive that is not yet
possible has no effect at all, so cancelling it loses nothing.

On Windows it makes the same calls as the overlapped engine, without an ``OVERLAPPED``; elsewhere
it makes the standard library's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import outcome
import trio

from .._statistics import Counters, counters
from .._winsock import calls
from .._winsock.codes import WinsockError
from .receiver import closed_error
from .requests import AGAIN, PEEK, TRUNCATED, Answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .receiver import Receiver
    from .requests import Request, T

R = TypeVar("R")


class ReadinessEngine:
    """Receives when the socket is readable.

    Args:
      attempt: receives without blocking; returns the number of bytes and the request's answer.
    """

    def __init__(
        self, attempt: Callable[[socket.socket, Receiver, Request[Any]], tuple[int, Any]]
    ) -> None:
        self._attempt = attempt

    async def receive(self, sock: socket.socket, receiver: Receiver, request: Request[T]) -> T:
        """Receive what was asked for, in as many receives as it takes."""
        attempt = partial(self._attempt, sock, receiver, request)
        while True:
            nbytes, answer = await when_readable(sock, attempt, counters)
            counters.bytes += nbytes
            if answer is not AGAIN:
                result: T = answer
                return result
            if sock.fileno() == -1:
                raise closed_error()


@trio.lowlevel.enable_ki_protection
async def when_readable(
    sock: socket.socket, attempt: Callable[[], R], counters: Counters | None = None
) -> R:
    """Call ``attempt`` until it does not raise `BlockingIOError`; return what it returns."""
    if counters is None:
        counters = Counters()
    await trio.lowlevel.checkpoint_if_cancelled()
    counters.readiness += 1
    result = outcome.capture(attempt)
    if isinstance(getattr(result, "error", None), BlockingIOError):
        counters.pended += 1
        while isinstance(getattr(result, "error", None), BlockingIOError):
            try:
                await trio.lowlevel.wait_readable(sock)
            except trio.Cancelled:
                counters.cancelled += 1
                raise
            if sock.fileno() == -1:
                raise closed_error()
            result = outcome.capture(attempt)
    else:
        counters.immediate += 1
        await trio.lowlevel.cancel_shielded_checkpoint()
    if isinstance(getattr(result, "error", None), OSError):
        counters.failed += 1
    return result.unwrap()


def _by_winsock(
    sock: socket.socket, receiver: Receiver, request: Request[T]
) -> tuple[int, Answer[T]]:
    if sock.fileno() == -1:
        raise calls.winsock_error(WinsockError.WSAENOTSOCK)
    operation = receiver.operation_for(sock, request)
    try:
        request.prepare(operation, receiver, repeated=False)
        counters.wsarecv_calls += 1
        error = operation.receive_nonblocking()
        if error:
            raise calls.winsock_error(error)
        nbytes = int(operation.memory.received)
        flags = operation.memory.flags & ~request.flags
        if nbytes > operation.room:
            nbytes = operation.room
            flags |= TRUNCATED
        try:
            return nbytes, request.complete(operation, nbytes, flags)
        except MemoryError:
            if not request.flags & PEEK:  # which leaves the bytes in the kernel
                receiver.keep_block(operation, nbytes)
            raise
    finally:
        receiver.release(operation)


#: Off Windows.
BY_STDLIB: Final = ReadinessEngine(lambda sock, _, request: request.call_stdlib(sock))
#: On Windows.
BY_WINSOCK: Final = ReadinessEngine(_by_winsock)
