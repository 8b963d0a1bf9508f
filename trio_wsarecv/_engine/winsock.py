"""What both engines of Windows share: the operations of one socket in a run, and batches.

Some filter drivers make every ``WSARecvMsg`` fail with WSAEFAULT.  If a program asks for no
ancillary data, ``WSARecvFrom`` does all that is needed.

After the first datagram of a batch the same call is made without an ``OVERLAPPED``.  It completes
inline or fails with WSAEWOULDBLOCK, so no packet follows, and no turn of the run loop is needed.
There is no checkpoint between the datagrams, so cancelling loses none of them.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from .._statistics import counters
from .._winsock import calls
from .._winsock.codes import WinsockError
from .._winsock.datagram import DatagramOperation, MessageOperation, wsarecvmsg_function
from .._winsock.operation import MIN_RECEIVE_SIZE, MSGSIZE, Operation, State
from .engine import Engine
from .port import MORE_FRAMES
from .requests import TRUNCATED

if TYPE_CHECKING:
    from .._winsock.status import Mode
    from .claim import Claim
    from .memory import Run
    from .pushed_back import PushedBack
    from .requests import Request

Kind: TypeAlias = tuple[int, int, int]

# A plain integer: the operators of an enum are Python code.
_WOULD_BLOCK: Final = int(WinsockError.WSAEWOULDBLOCK)

# The errors that end draining silently: there is no more data, or no memory for it.
_NO_MORE: Final = frozenset({WinsockError.WSAEWOULDBLOCK, WinsockError.WSAENOBUFS})

#: The families, types and protocols whose ``WSARecvMsg`` always fails with WSAEFAULT.
_without_messages: Final[set[Kind]] = set()


def is_result(error: BaseException) -> bool:
    """Return whether an error is the result of a receive: it then has the bytes as ``partial``."""
    return hasattr(error, "partial")


class WinsockEngine(Engine):
    """Receives on one socket in one run by Winsock operations, which are reused.

    Attributes:
      is_stream: whether the bytes have no boundaries and an empty receive is the end.
      operation: the operation that the last receive used and the next one will use.
    """

    __slots__ = ("_handle", "_kind", "_mode", "is_stream", "operation")

    def __init__(
        self, sock: socket.socket, mode: Mode, run: Run, claim: Claim, pushed_back: PushedBack
    ) -> None:
        super().__init__(run, claim, pushed_back)
        self.operation: Operation | None = None
        self._handle = sock.fileno()
        self.is_stream = sock.type == socket.SOCK_STREAM
        self._kind: Kind = (sock.family, sock.type, sock.proto)
        self._mode = mode

    def _operation_for(self, sock: socket.socket, request: Request[Any]) -> Operation:
        is_message = request.is_message and not self.is_stream
        if is_message and not request.control_size:
            is_message = self._kind not in _without_messages
        operation = self.operation
        if operation is None or operation.is_message is not is_message:
            if is_message:
                function = wsarecvmsg_function(sock)
                operation = MessageOperation(self._handle, self._mode, function)
            else:
                kind = Operation if self.is_stream else DatagramOperation
                operation = kind(self._handle, self._mode)
            self.operation = operation
        return operation

    def _can_do_without_messages(
        self, operation: Operation, request: Request[Any], error: int
    ) -> bool:
        # If WSARecvMsg fails and is not needed, notes that for the whole process.
        if error != WinsockError.WSAEFAULT or not operation.is_message or request.control_size:
            return False
        _without_messages.add(self._kind)
        self.operation = None  # so the next one is of another kind
        return True

    def _borrow(self, operation: Operation, nbytes: int, *, ask: bool) -> int:
        # Gives an operation memory of the run, and returns how many bytes it can receive.
        operation.block = self.run.lend(nbytes, ask=ask)
        return MIN_RECEIVE_SIZE if operation.block is None else nbytes

    def _release(self, operation: Operation) -> None:
        # Gives back the program's buffers and the run's memory, unless the kernel may write there.
        operation.release()
        if operation.block is not None and operation.state is not State.ABANDONED:
            block, operation.block, operation.target = operation.block, None, None
            self.run.take_back(block)

    def _keep_unless_result(
        self,
        exc: BaseException,
        operation: Operation,
        request: Request[Any],
        nbytes: int,
        flags: int,
    ) -> None:
        # Keeps the bytes of a result that could not be made, but not if the error is the result.
        if not is_result(exc):
            limit = sys.getrecursionlimit()
            try:
                sys.setrecursionlimit(limit + MORE_FRAMES)
                self._keep(operation, request, nbytes, flags)
            finally:
                sys.setrecursionlimit(limit)

    def _keep(self, operation: Operation, request: Request[Any], nbytes: int, flags: int) -> None:
        # Pushes back what has been received, without a copy.
        self.operation = None
        data = request.part(operation, nbytes)
        if operation.block is not None:
            self.run.forget(operation.block)
            operation.block = None
        if operation.is_stream:
            self.pushed_back.add(data, operation)
        else:
            self.pushed_back.add_datagram(data, operation, flags)

    def _receive_more(
        self, operation: Operation, request: Request[Any], batch: list[Any], most: int
    ) -> None:
        # Adds the datagrams that have arrived after the first one of a batch.
        memory, room = operation.memory, operation.room
        # What fails here is raised by the next call; this one returns the batch.
        try:
            # Not by `receive_nonblocking`: a call less for each datagram.
            receive, last_error = operation.nonblocking(), calls.ws2_32.WSAGetLastError
            while len(batch) < most:
                counters.not_overlapped += 1
                memory.flags, memory.received = request.flags, 0
                error = last_error() if receive() else 0
                if error and error != MSGSIZE:
                    if error != _WOULD_BLOCK and not self._can_do_without_messages(
                        operation, request, error
                    ):
                        raise calls.winsock_error(error)
                    return
                nbytes, flags = memory.received, 0
                if nbytes > room:
                    nbytes, flags = room, TRUNCATED
                    counters.truncated += 1
                counters.bytes += nbytes
                counters.datagrams += 1
                try:
                    batch.append(request.complete(operation, nbytes, flags))
                except BaseException as exc:
                    self._keep_unless_result(exc, operation, request, nbytes, flags)
                    raise
        except BaseException as exc:
            self.pushed_back.defer(exc, first=True)

    async def _drain(self, sock: socket.socket, operation: Operation, wants: int) -> int:
        # After a receive that filled its memory: adds what else has arrived, up to what the program
        # asked for, as one receive of stock Trio would give it.  Returns the number of bytes.
        received = operation.room
        if not self.waited:
            await trio.lowlevel.cancel_shielded_checkpoint()  # before a large result is made
            self.waited = True
        block = self.run.lend(wants, ask=False) if sock.fileno() != -1 else None
        if block is None:
            return received
        counters.not_overlapped += 1
        before = operation.block
        operation.move_to(block, wants)
        if before is not None:
            self.run.take_back(before)
        error = operation.receive_nonblocking()
        if not error:
            more = int(operation.memory.received)
            return min(received + more, wants)
        if error not in _NO_MORE:
            self.pushed_back.defer(calls.winsock_error(error))
        return received
