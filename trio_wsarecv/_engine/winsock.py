"""What both engines of Windows share: the operations of one socket in a run, and batches.

Some filter drivers make every ``WSARecvMsg`` fail with WSAEFAULT.  If a program asks for no
ancillary data, ``WSARecvFrom`` does all that is needed.

Behind the first datagram of a batch the same call is made without an ``OVERLAPPED``.  It completes
inline or fails with WSAEWOULDBLOCK, so no packet follows, and no turn of the run loop is taken.
There is no checkpoint between the datagrams, so none of them is lost to a cancellation.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from .._statistics import counters
from .._winsock.calls import winsock_error
from .._winsock.codes import WinsockError
from .._winsock.datagram import DatagramOperation, MessageOperation, wsarecvmsg_function
from .._winsock.operation import MIN_RECEIVE_SIZE, Operation, State
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

# As plain integers, whose operators are not written in Python.
_WOULD_BLOCK: Final = int(WinsockError.WSAEWOULDBLOCK)

# What ends a receive that adds to one: there is nothing, or no room for what the program has not
# asked for.
_NO_MORE: Final = frozenset({WinsockError.WSAEWOULDBLOCK, WinsockError.WSAENOBUFS})

#: The families, types and protocols whose ``WSARecvMsg`` fails with WSAEFAULT, whatever it is
#: given.
_without_messages: Final[set[Kind]] = set()


def is_result(error: BaseException) -> bool:
    """Tell whether an error is the result of a completion, not a failure to make one."""
    return isinstance(error, (OSError, EOFError))


class WinsockEngine(Engine):
    """Receives on one socket in one run by operations of Winsock, used again and again.

    Attributes:
      is_stream: whether bytes have no boundaries and their end is an empty receive.
      operation: what the last receive used, and the next one will.
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
        # Where WSARecvMsg fails and is not needed, notes that for the whole process.
        if error != WinsockError.WSAEFAULT or not operation.is_message or request.control_size:
            return False
        _without_messages.add(self._kind)
        self.operation = None  # and so another one
        return True

    def _borrow(self, operation: Operation, nbytes: int, *, ask: bool) -> int:
        # Gives an operation memory of the run, and returns how many bytes it can have.
        operation.block = self.run.lend(nbytes, ask=ask)
        return MIN_RECEIVE_SIZE if operation.block is None else nbytes

    def _release(self, operation: Operation) -> None:
        # Unless the kernel may still write there.
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
        # Keeps bytes of which no result could be made; an error that is their result gives them.
        if not is_result(exc):
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(limit + MORE_FRAMES)
            try:
                self._keep(operation, request, nbytes, flags)
            finally:
                sys.setrecursionlimit(limit)

    def _keep(self, operation: Operation, request: Request[Any], nbytes: int, flags: int) -> None:
        # Leaves what has been received to the next receive, where it is.
        self.operation = None
        data = request.part(operation, nbytes)
        if operation.block is not None:
            self.run.forget(operation.block)
        if operation.is_stream:
            self.pushed_back.add(data, operation)
        else:
            self.pushed_back.add_datagram(data, operation, flags)
        operation.block = None

    def _receive_more(
        self, operation: Operation, request: Request[Any], batch: list[Any], most: int
    ) -> None:
        # Adds what has arrived after the first datagram of a batch.
        memory, room = operation.memory, operation.room
        # Whatever fails here is for the next call: this one has what is in the batch.
        try:
            while len(batch) < most:
                counters.not_overlapped += 1
                memory.flags = request.flags
                error = operation.receive_nonblocking()
                if error:
                    if error != _WOULD_BLOCK and not self._can_do_without_messages(
                        operation, request, error
                    ):
                        raise winsock_error(error)
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
        # Adds what has arrived behind bytes that filled the memory, as far as the program has asked
        # for it: with stock Trio it would be one receive.  Returns how many bytes there are.
        received = operation.room
        if not self.waited:
            await trio.lowlevel.cancel_shielded_checkpoint()  # before there is a large result
            self.waited = True
        block = self.run.lend(wants, ask=False) if sock.fileno() != -1 else None
        if block is None:
            return received
        counters.not_overlapped += 1
        before = operation.block
        error = operation.receive_more(block, wants)
        if before is not None:
            self.run.take_back(before)
        if not error:
            more = int(operation.memory.received)
            return min(received + more, wants)
        if error not in _NO_MORE:
            self.pushed_back.defer(winsock_error(error))
        return received
