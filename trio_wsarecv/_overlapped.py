"""The overlapped engine: a receive becomes an operation that the kernel completes.

On a socket that is associated with a completion port, every operation that the kernel accepts
ends in exactly one packet on that port, at once or later, with data or without; one that it
refuses ends in none.  Trio dequeues the packets and reschedules the task that waits for each, and
cannot go on when a packet comes that no task waits for.  So between submitting and waiting there
is no checkpoint and nothing that can raise, KeyboardInterrupt included.

Trio's own `trio.lowlevel.wait_overlapped` enters the task as the one that waits.  The task then
sleeps under an abort function of ours, for two reasons.  What becomes of a result must not depend
on guessing whether a cancellation was asked for, so the request has to be on record.  And where
Trio's abort function finds the operation already completed, it posts a packet of its own that
carries the same address and may arrive when the task has long been woken and has submitted the
next operation there; ours posts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import trio

from ._codes import WinsockError
from ._statistics import counters
from ._status import RECEIVED, Outcome, Verdict, judge
from ._winsock import winsock_error

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

    from ._operation import Operation
    from ._receiver import Receiver


class CompletionPort(Protocol):
    """What `trio.lowlevel` has on Windows alone, typed on every system."""

    def register_with_iocp(self, handle: int, /) -> None: ...

    def wait_overlapped(
        self, handle: int, lpOverlapped: int, /
    ) -> Coroutine[object, None, object]: ...


port = cast("CompletionPort", trio.lowlevel)


@trio.lowlevel.enable_ki_protection
async def perform(sock: socket.socket, receiver: Receiver, operation: Operation) -> Verdict:
    """Receive: submit an operation, while the kernel has none, and wait for its packet.

    Returns:
      What the completion says; the bytes that it counts have been received.

    Raises:
      OSError: the receive failed, as Python's own ``recv`` would have.
      trio.BusyResourceError: the kernel has another receive of this socket.
      trio.ClosedResourceError: the socket was closed meanwhile.
    """
    mine = receiver.reserved  # or else this call would have been refused
    while True:
        await trio.lowlevel.checkpoint_if_cancelled()
        handle = sock.fileno()
        error = operation.submit(handle) if handle != -1 else WinsockError.WSAENOTSOCK
        if error:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise winsock_error(error)
        counters.overlapped += 1
        receiver.operation = operation
        waiter = port.wait_overlapped(handle, operation.address)
        waiter.send(None)
        try:
            await trio.lowlevel.wait_task_rescheduled(operation.abort)
        except BaseException:
            # The abort function leaves the waking to the packet, so this is no cancellation: the
            # whole run is coming down.
            receiver.operation = None
            operation.bury()
            raise
        finally:
            waiter.close()

        if not operation.overlapped.Internal and not operation.raise_cancel:
            counters.bytes += operation.overlapped.InternalHigh
            if operation.closing:
                operation.close_handle()
            return RECEIVED
        verdict = _conclude(receiver, operation)
        if verdict.outcome is not Outcome.ABORTED:
            return verdict
        # A neighbour on the same socket was cancelled, and this receive with it.  Once more.
        if sock.fileno() == -1:
            raise _closed()
        receiver.check_free(mine=mine)


def _conclude(receiver: Receiver, operation: Operation) -> Verdict:
    # Acts on what the completion says: raises, or returns a verdict that leaves bytes or nothing.
    closing = operation.closing
    if closing:
        operation.close_handle()
    nbytes = operation.nbytes
    cancelling = operation.raise_cancel is not None
    verdict = judge(operation.status, nbytes, cancelling=cancelling, closing=closing)
    outcome, error = verdict.outcome, verdict.error
    if outcome is Outcome.CANCELLED:
        counters.cancelled += 1
        assert operation.raise_cancel is not None
        operation.raise_cancel()
    if outcome is Outcome.CLOSED:
        raise _closed()
    if outcome is Outcome.FAILED:
        counters.failed += 1
        assert error is not None
        raise winsock_error(error)
    if outcome is Outcome.RECEIVED_THEN_FAILED:
        assert error is not None
        receiver.defer(winsock_error(error))
    if outcome is not Outcome.ABORTED:
        counters.bytes += nbytes
        # Trio repeats its request at the next checkpoint.
        counters.received_despite_cancel += cancelling
    return verdict


def _closed() -> trio.ClosedResourceError:
    return trio.ClosedResourceError("another task closed this socket")
