"""The overlapped engine: a receive becomes an operation that the kernel completes.

On a socket that is associated with a completion port, an operation that the kernel accepts ends in
exactly one packet on that port, unless it succeeds inline in skip mode.  An operation that the
kernel refuses ends in no packet.  `packet_follows` decides which it is.  Trio cannot go on when a
packet comes that no task waits for.  So between submitting and waiting there is no checkpoint and
nothing that can raise, not even KeyboardInterrupt.

`trio.lowlevel.wait_overlapped` registers the task as the one that waits for the operation's packet.
The task then sleeps with an abort function of ours, for two reasons.  The request to cancel has to
be on record when the result is judged.  And where Trio's abort function finds the operation already
completed, it posts a packet of its own with the same address.  That packet may arrive after the
task has been woken and has submitted its next operation there.  Ours posts nothing.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Final

import trio

from .._statistics import counters
from .._winsock import calls
from .._winsock.codes import MsgFlag, NtStatus, WinsockError
from .._winsock.operation import MIN_RECEIVE_SIZE, STATUS_MASK, State
from .._winsock.status import RECEIVED, Result, Verdict, judge, packet_follows
from . import port
from .memory import MAX_RECEIVE_SIZE
from .receiver import close_handle, closed_error
from .requests import AGAIN

if TYPE_CHECKING:
    import socket

    from .._winsock.operation import Operation
    from .receiver import Receiver
    from .requests import Request, T

# The most receives that complete inline in a row before other tasks run.
_MAX_INLINE: Final = 32

# As plain integers, whose operators are not written in Python.
_IO_PENDING: Final = int(WinsockError.WSA_IO_PENDING)
_TRUNCATED: Final = int(MsgFlag.MSG_TRUNC)

_GIVE_BYTES: Final = {Result.RECEIVED, Result.TRUNCATED, Result.RECEIVED_THEN_FAILED}


class OverlappedEngine:
    """Receives by overlapped operations, one at a time for each socket."""

    async def receive(self, sock: socket.socket, receiver: Receiver, request: Request[T]) -> T:
        """Receive what was asked for: submit, and wait for a packet if one follows."""
        repeated = pended = waited = False
        rounds = 0
        while True:
            if receiver.receive_size > MIN_RECEIVE_SIZE < request.wants:
                # Much is probably waiting.  Let other tasks run before there is a large result.
                await trio.lowlevel.checkpoint()
                waited = True
            else:
                await trio.lowlevel.checkpoint_if_cancelled()
            if sock.fileno() == -1:
                await trio.lowlevel.cancel_shielded_checkpoint()
                raise closed_error() if waited else calls.winsock_error(WinsockError.WSAENOTSOCK)
            operation = receiver.operation
            if operation is None or operation.is_message is not request.is_message:
                operation = receiver.operation_for(sock, request)
            try:
                request.prepare(operation, receiver, repeated)
                error = calls.ws2_32.WSAGetLastError() if operation.submit() else 0
                counters.wsarecv_calls += 1
                counters.overlapped += 1
                pending = error == _IO_PENDING
                if pending or (
                    packet_follows(error, operation.status, operation.mode)
                    if error
                    else operation.packet_follows_success
                ):
                    operation.state = State.SUBMITTED
                    operation.raise_cancel = None
                    waiter = port.completion_port.wait_overlapped(
                        operation.handle, operation.address
                    )
                    try:
                        waiter.send(None)
                        if pending:
                            counters.pended += not pended
                            pended = True
                            if operation.block is not None:
                                # A receive that waits must not hold much: repeat it with little.
                                receiver.receive_size = MIN_RECEIVE_SIZE
                                operation.cancel()
                        # As a method, which takes a third of the memory of a partial.
                        await trio.lowlevel.wait_task_rescheduled(MethodType(port.abort, operation))
                    except BaseException:
                        # The abort function leaves the waking to the packet, so this is no
                        # cancellation: the whole run is coming down.
                        receiver.abandon(sock, operation)
                        raise
                    finally:
                        waiter.close()
                    operation.state = State.IDLE
                    waited = True
                    status = operation.overlapped.Internal & STATUS_MASK
                    nbytes = operation.overlapped.InternalHigh
                    if status or operation.raise_cancel or operation.closing:
                        verdict = _judge(operation, status, nbytes)
                    else:
                        verdict = RECEIVED
                    flags = int(verdict.flags)
                elif error:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                    waited = True
                    verdict = Verdict(Result.FAILED, error)
                else:
                    verdict = RECEIVED
                    # Winsock may leave the flags as they went in.
                    memory = operation.memory
                    nbytes, flags = memory.received, memory.flags & ~request.flags
                if verdict is not RECEIVED and _must_repeat(receiver, operation, verdict, repeated):
                    repeated = True
                    continue
                counters.immediate += not pended
                if nbytes > operation.room:
                    nbytes = operation.room
                    flags |= _TRUNCATED
                if request.wants > MIN_RECEIVE_SIZE and receiver.is_stream:
                    if nbytes == MIN_RECEIVE_SIZE and operation.block is None:
                        if not waited:
                            await trio.lowlevel.cancel_shielded_checkpoint()
                            waited = True
                        if sock.fileno() != -1:
                            nbytes = receiver.drain(operation, request.wants)
                    # If this one was not filled, nothing is left, and the next one would wait.
                    filled = nbytes == request.wants
                    receiver.receive_size = MAX_RECEIVE_SIZE if filled else MIN_RECEIVE_SIZE
                counters.bytes += nbytes
                try:
                    result = request.complete(operation, nbytes, flags)
                except MemoryError:
                    receiver.keep_block(operation, nbytes)
                    raise
            finally:
                if operation.exports or operation.block is not None:
                    receiver.release(operation)
            if result is not AGAIN:
                break
            repeated = pended = False
            rounds += 1
            if rounds % _MAX_INLINE == 0:
                await trio.lowlevel.checkpoint()
                waited = True
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return result


def _judge(operation: Operation, status: int, nbytes: int) -> Verdict:
    # Judges an operation that has not simply succeeded, and completes a close.
    if operation.closing:
        close_handle(operation.handle)
    if operation.is_message and status == NtStatus.BUFFER_OVERFLOW:
        return RECEIVED  # the count tells if data is lost, the flags if control data is
    cancelling = operation.raise_cancel is not None
    verdict = judge(status, nbytes, cancelling=cancelling, closing=operation.closing)
    # The cancellation is not lost: Trio delivers it at the next checkpoint.
    counters.received_despite_cancel += cancelling and verdict.result in _GIVE_BYTES
    return verdict


def _must_repeat(
    receiver: Receiver, operation: Operation, verdict: Verdict, repeated: bool
) -> bool:
    # Raises what the verdict asks for, or says whether to submit the receive again.
    match verdict.result:
        case Result.ABORTED:
            # By us because it was large, or along with another receive of the connection.
            return True
        case Result.CANCELLED:
            counters.cancelled += 1
            assert operation.raise_cancel is not None
            operation.raise_cancel()
        case Result.CLOSED:
            raise closed_error()
        case Result.FAILED:
            large = receiver.is_stream and operation.room > MIN_RECEIVE_SIZE
            if verdict.error == WinsockError.WSAENOBUFS and large and not repeated:
                return True
            counters.failed += 1
            raise calls.winsock_error(verdict.error or 0)
        case Result.RECEIVED_THEN_FAILED:
            receiver.defer(calls.winsock_error(verdict.error or 0))
    return False
