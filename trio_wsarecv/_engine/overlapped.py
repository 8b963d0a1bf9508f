"""The overlapped engine: a receive becomes an operation that the kernel completes.

On a socket that is associated with a completion port, an operation that the kernel accepts ends in
exactly one packet on that port, unless it succeeds inline in skip mode.  An operation that the
kernel refuses ends in no packet.  `packet_follows` decides which it is.

While the kernel has an operation, its handle must stay open: Windows may give the same number to
another socket immediately, and a cancellation would then hit that socket's operation.  So closing
detaches the handle from the socket, which counts as closed from then on, and asks the kernel to
cancel the operation.  The handle itself is closed after the packet has been dequeued.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import trio
from trio.lowlevel import Abort

from .._statistics import counters
from .._winsock import calls
from .._winsock.codes import NtStatus, WinsockError
from .._winsock.operation import MIN_RECEIVE_SIZE, STATUS_MASK, Operation, State
from .._winsock.status import RECEIVED, Asked, Mode, Result, Verdict, judge, packet_follows
from . import port
from .choice import Choice, log_fallback
from .claim import busy_error
from .engine import close_handle, closed_error
from .memory import MAX_RECEIVE_SIZE, here, next_size
from .readiness import WinsockReadiness
from .requests import MAX_RECEIVE, PEEK, TRUNCATED
from .winsock import WinsockEngine, is_result

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import NoReturn

    from .claim import Claim
    from .memory import Run
    from .pushed_back import PushedBack
    from .requests import Answer, Request

# A plain integer: the operators of an enum are Python code.
_IO_PENDING: Final = int(WinsockError.WSA_IO_PENDING)

# Used in each receive; looking up a member of an enum is slower.
_IDLE, _UNKNOWN, _SUBMITTED = State.IDLE, State.UNKNOWN, State.SUBMITTED

_GIVE_BYTES: Final = {Result.RECEIVED, Result.TRUNCATED, Result.RECEIVED_THEN_FAILED}

# Errors that an interrupted receive does not leave to the next one: they are not the connection's.
_NOT_DEFERRED: Final = {WinsockError.WSAEMSGSIZE, WinsockError.WSAENOBUFS}


class OverlappedEngine(WinsockEngine):
    """Receives on one socket by overlapped operations, one at a time."""

    __slots__ = ("_message", "_pended", "_readiness", "_size", "_small")

    def __init__(
        self, sock: socket.socket, mode: Mode, run: Run, claim: Claim, pushed_back: PushedBack
    ) -> None:
        super().__init__(sock, mode, run, claim, pushed_back)
        self._size = MIN_RECEIVE_SIZE
        self._small = 0
        self._pended = False  # whether the last receive of a stream into our memory waited
        self._message: object = port.sleep_message(self._abort)
        self._readiness: WinsockReadiness | None = None  # kept: a peek uses its operation again

    async def receive(self, sock: socket.socket, request: Request[Any], most: int) -> Answer[Any]:
        """Receive one part of what was asked for, or at most ``most`` datagrams."""
        if request.flags & PEEK:  # Winsock documents it for sockets that are not overlapped
            log_fallback(Choice.PEEK)
            return await self._receive_by_readiness(sock, request, most)
        nbytes = request.room if request.room < MAX_RECEIVE else MAX_RECEIVE
        flows = request.wants > MIN_RECEIVE_SIZE and self.is_stream
        if flows:
            wants = min(request.wants, MAX_RECEIVE_SIZE)
            nbytes = min(wants, self._size)
            if nbytes > MIN_RECEIVE_SIZE and not self._pended:
                # Much data is probably there.  Other tasks run before it becomes a large result.
                await trio.lowlevel.cancel_shielded_checkpoint()
                self.waited = True
        pended = False
        while True:
            if self.waited and sock.fileno() == -1:
                raise closed_error()
            operation = self.operation
            if operation is None or operation.is_message is not request.is_message:
                operation = self._operation_for(sock, request)
            brought, out, filled = None, 0, request.filled
            try:
                if flows and nbytes > MIN_RECEIVE_SIZE:
                    nbytes = self._borrow(operation, nbytes, ask=True)
                error = self._submit(operation, request, nbytes)
                if operation.state is _SUBMITTED:
                    task = trio.lowlevel.current_task()
                    if error == _IO_PENDING and not self.may_wait:
                        operation.cancel()
                    elif error == _IO_PENDING:
                        counters.pended += not pended
                        pended = True
                        self.claim.waits(task)
                        if operation.block is not None:
                            self.run.waiting[operation] = None
                    # Not in a function of its own: `packet` needs a frame less than `prepare`.
                    await port.packet(operation, task, self.claim, self._message)
                    self.waited = True
                    if error != _IO_PENDING:
                        operation.asked = None  # it had completed before that
                    verdict, received, out = self._outcome(operation)
                elif error:
                    verdict = Verdict(Result.FAILED, error)
                else:
                    # Winsock may leave the flags as they went in.
                    verdict, received = RECEIVED, operation.memory.received
                    out = operation.memory.flags & ~request.flags
                    if received > operation.room:
                        received, out = operation.room, out | TRUNCATED
                operation.state = _IDLE
                if verdict is RECEIVED or verdict.result in _GIVE_BYTES:
                    brought = received
                    if not pended:
                        counters.immediate += 1
                    if verdict.error and verdict.result is Result.RECEIVED_THEN_FAILED:
                        self._defer(sock, verdict.error)
                    if flows:
                        self._pended = pended
                        room = operation.room
                        self._size, self._small = next_size(self._size, room, received, self._small)
                        if received == room < wants and not verdict.error:
                            brought = await self._drain(sock, operation, wants)
                    counters.bytes += brought
                    if not self.is_stream:
                        counters.datagrams += 1
                        counters.truncated += bool(out & TRUNCATED)
                    answer = request.complete(operation, brought, out)
                    if most:
                        answer = [answer]
                        # Not if an error came with the first, or the socket has been closed.
                        if not self.pushed_back.something and sock.fileno() != -1:
                            self._receive_more(operation, request, answer, most)
                    brought = None  # the program has it, and the block is the run's again
                    if operation.block is not None or operation.exports:
                        self._release(operation)
                    return answer
                lacks_memory = self._end(sock, operation, request, verdict)
                self._release(operation)
            except BaseException as exc:
                try:
                    if operation.is_in_kernel:
                        await self._recover(sock, operation, exc)
                finally:
                    # The failure may be that the stack has no frame left.
                    limit = sys.getrecursionlimit()
                    try:
                        sys.setrecursionlimit(limit + port.MORE_FRAMES)
                        if request.filled != filled or is_result(exc):
                            brought = None
                        self._keep_what_came(sock, operation, request, brought, out)
                    finally:
                        sys.setrecursionlimit(limit)
                raise
            if lacks_memory and not (self.is_stream and operation.room > MIN_RECEIVE_SIZE):
                if pended:
                    counters.pended -= 1  # since the receive starts again
                return await self._receive_by_readiness(sock, request, most)
            if self.is_stream:
                nbytes = min(nbytes, MIN_RECEIVE_SIZE)
            if flows:
                self._size, self._small = MIN_RECEIVE_SIZE, 0
            await trio.lowlevel.cancel_shielded_checkpoint()  # a close right after a shutdown wins

    def _submit(self, operation: Operation, request: Request[Any], nbytes: int) -> int:
        # Returns 0 or the Winsock error code; the operation's state says whether a packet follows.
        request.prepare(operation, nbytes)
        operation.state = _UNKNOWN
        error = calls.ws2_32.WSAGetLastError() if operation.submit() else 0
        if error == _IO_PENDING:
            follows = True
        elif error:
            follows = packet_follows(error, operation.status, operation.mode)
            if operation.is_message and operation.status == NtStatus.BUFFER_OVERFLOW:
                error = 0  # it has completed: only control data beyond what is expected did not fit
        else:
            follows = operation.packet_follows_success
        operation.state = _SUBMITTED if follows else _IDLE
        counters.overlapped += 1
        return error

    def _abort(self, raise_cancel: Callable[[], NoReturn]) -> Abort:
        # Passes Trio's request to cancel on to the kernel; the packet wakes the task.  Not after a
        # crash of the run: the socket may be finalized by then, and its handle belong to another.
        operation = self.operation
        if operation is not None and self.run is here.run:
            operation.raise_cancel = raise_cancel
            operation.ask(Asked.CANCEL)
            self.claim.ends()
        return Abort.FAILED

    def _outcome(self, operation: Operation) -> tuple[Verdict, int, int]:
        # Judges an operation whose packet has been dequeued, and completes a close.  Returns the
        # verdict, the number of bytes and the flags.
        if operation.block is not None:
            self.run.waiting.pop(operation, None)
        if operation.closing:
            operation.closing, self._message = False, None  # the message refers to this object
            close_handle(operation.handle)
        asked, operation.asked = operation.asked, None
        status = operation.overlapped.Internal & STATUS_MASK
        nbytes = operation.overlapped.InternalHigh
        verdict = RECEIVED
        # For a message, the byte count shows if data is lost, and its flags if control data is.
        if (status or asked) and not (operation.is_message and status == NtStatus.BUFFER_OVERFLOW):
            verdict = judge(status, nbytes, asked=asked, is_stream=self.is_stream)
            if asked is Asked.CANCEL and verdict.result in _GIVE_BYTES:
                # The cancellation is not lost: Trio delivers it at the next checkpoint.
                counters.received_despite_cancel += 1
        flags = int(verdict.flags)
        if nbytes > operation.room:
            nbytes, flags = operation.room, flags | TRUNCATED
        return verdict, nbytes, flags

    def _end(
        self, sock: socket.socket, operation: Operation, request: Request[Any], verdict: Verdict
    ) -> bool:
        # Raises the error of a verdict without bytes.  Returns if the receive has to be repeated:
        # True if memory was short.
        if verdict.result is Result.CANCELLED:
            counters.cancelled += 1
            if verdict.error:
                self._defer(sock, verdict.error)
            assert operation.raise_cancel is not None
            operation.raise_cancel()
        if verdict.result is Result.CLOSED:
            raise closed_error()
        if verdict.result is Result.ABORTED:  # by this engine, or along with another operation
            if not self.may_wait:
                raise busy_error()
            return False
        error = verdict.error or 0
        if error == WinsockError.WSAENOBUFS:
            return True
        if self._can_do_without_messages(operation, request, error):
            return False
        counters.failed += 1
        raise calls.winsock_error(error)

    def _defer(self, sock: socket.socket, error: int) -> None:
        if sock.fileno() != -1:
            self.pushed_back.defer(calls.winsock_error(error))

    async def _receive_by_readiness(
        self, sock: socket.socket, request: Request[Any], most: int
    ) -> Answer[Any]:
        if self._readiness is None:
            claim, pushed_back = self.claim, self.pushed_back
            self._readiness = WinsockReadiness(sock, Mode.DEFAULT, self.run, claim, pushed_back)
        readiness = self._readiness
        readiness.waited, readiness.may_wait = False, self.may_wait
        try:
            return await readiness.receive(sock, request, most)
        finally:
            self.waited = readiness.waited

    async def _recover(self, sock: socket.socket, operation: Operation, exc: BaseException) -> None:
        # Something failed between submit and sleep, or the run has crashed.
        is_settled = False
        try:
            if not isinstance(exc, GeneratorExit):
                is_settled = await port.recover(operation)
        finally:
            if operation.is_in_kernel:
                if is_settled:  # there was no packet, so the kernel does not have it
                    operation.state = _IDLE
                    self._release(operation)
                self._abandon(sock, operation)

    def _keep_what_came(
        self,
        sock: socket.socket,
        operation: Operation,
        request: Request[Any],
        brought: int | None,
        flags: int,
    ) -> None:
        # After a failure: keeps for the next receive what this one has received, also if its packet
        # has been dequeued and not been judged yet.
        try:
            if operation.state is State.COMPLETED:
                verdict, received, flags = self._outcome(operation)
                operation.state = _IDLE
                gives = verdict.result in _GIVE_BYTES and sock.fileno() != -1
                if gives and (received or not self.is_stream):
                    self._keep(operation, request, received, flags)
                if verdict.error and verdict.error not in _NOT_DEFERRED:
                    self._defer(sock, verdict.error)
            elif brought is not None:
                self._keep(operation, request, brought, flags)
        finally:
            self._release(operation)

    def cancel(self) -> None:
        if self.operation is not None:
            self.operation.cancel()

    def close(self, sock: socket.socket) -> bool:
        operation = self.operation
        if operation is None or not operation.is_in_kernel:
            self._message = None
            return False
        if self.run.over:
            self._abandon(sock, operation)
            return False
        sock.detach()
        operation.closing = True
        operation.ask(Asked.CLOSE)
        return True

    def leave(self, sock: socket.socket) -> None:
        if self.operation is not None and self.operation.is_in_kernel:
            self._abandon(sock, self.operation)

    def _abandon(self, sock: socket.socket, operation: Operation) -> None:
        # Nobody will wait for its packet.
        self.operation = None
        if operation.closing:
            close_handle(operation.handle)
        elif sock.fileno() == operation.handle:
            operation.cancel()
        if operation.block is not None:
            self.run.waiting.pop(operation, None)
            self.run.forget(operation.block)
        port.abandon(operation)
