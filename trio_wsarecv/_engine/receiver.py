"""The receive side of one socket: who receives, by which engine, and bytes not yet handed out.

There is one `Receiver` for each standard library socket, shared by all that wrap it.  One task at
a time may receive, and the kernel has at most one operation of a socket: it would fill the buffers
of several in the order of their submission, but it gives up all of them when one is cancelled.

While the kernel has an operation, its handle must stay open: Windows may give the same number to
another socket immediately, and a cancellation would meet that socket's operation.  So closing
detaches the handle from the socket, which is closed from then on, and asks the kernel to cancel the
operation.  The handle itself is closed when the packet is in.
"""

from __future__ import annotations

import socket
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from .._statistics import counters
from .._winsock.calls import ffi, winsock_error
from .._winsock.codes import WinsockError
from .._winsock.datagram import DatagramOperation, MessageOperation, wsarecvmsg_function
from .._winsock.operation import MIN_RECEIVE_SIZE, Operation, State
from .._winsock.status import Mode
from .memory import NO_RUN, Run
from .port import abandon

if TYPE_CHECKING:
    from .choose import Choice
    from .requests import Request, T


# What ends a receive that adds to one: there is nothing, or no room for what the program has not
# asked for.
_NO_MORE: Final = frozenset({WinsockError.WSAEWOULDBLOCK, WinsockError.WSAENOBUFS})


class Engine(Protocol):
    """A way to receive on a socket."""

    async def receive(self, sock: socket.socket, receiver: Receiver, request: Request[T]) -> T:
        """Receive what was asked for, waiting until there is something."""


@dataclass(eq=False, slots=True)
class Receiver:
    """What is known of the receive side of one socket.

    Its methods take the socket as an argument: a reference to it here would keep a socket that
    was dropped from ever being closed.
    """

    #: Whether bytes have no boundaries and their end is an empty receive.
    is_stream: bool
    #: Whether the socket was made by this package, so that nobody else had it before.
    made_here: bool = False
    #: Whether a task is receiving.
    claimed: bool = False
    #: Bytes that were received for a call that then failed; the next receive begins with them.
    pushed_back: bytes | memoryview = b""
    #: What the next receive fails with, because the last one had bytes to give.
    deferred_error: OSError | None = None
    #: The `trio.run` in which the engine was chosen.
    run: Run = NO_RUN
    #: What serves the socket in that run.
    engine: Engine = field(init=False)
    #: Why.
    choice: Choice = field(init=False)
    #: What a receive that succeeds inline tells the completion port.
    mode: Mode = Mode.DEFAULT
    #: What the last receive used, and the next one will.
    operation: Operation | None = None
    #: How much a receive that makes bytes of a stream asks for.
    receive_size: int = MIN_RECEIVE_SIZE

    def operation_for(self, sock: socket.socket, request: Request[Any]) -> Operation:
        """Return the operation that a request needs."""
        operation = self.operation
        if operation is None or operation.is_message is not request.is_message:
            handle = sock.fileno()
            if request.is_message:
                operation = MessageOperation(handle, self.mode, wsarecvmsg_function(sock))
            else:
                operation = (Operation if self.is_stream else DatagramOperation)(handle, self.mode)
            self.operation = operation
        return operation

    def borrow_block(self, operation: Operation) -> Any:
        """Give an operation large memory of the run; None if there is none left."""
        free = self.run.free
        operation.block = free.pop() if free else self.run.new_block()
        return operation.block

    def release(self, operation: Operation) -> None:
        """Give back what an operation has borrowed, unless the kernel may still write there."""
        operation.release()
        if operation.block is not None and operation.state is not State.ABANDONED:
            self.run.free.append(operation.block)
            operation.block = None

    def drain(self, operation: Operation, nbytes: int) -> int:
        """Add what has arrived after the bytes that filled an operation's own memory.

        Args:
          operation: the operation, which has completed.
          nbytes: the most bytes to have in the end.

        Returns:
          How many bytes there are now.
        """
        if self.borrow_block(operation) is None:
            return MIN_RECEIVE_SIZE
        counters.wsarecv_calls += 1
        error = operation.drain(operation.block, nbytes)
        if error and error not in _NO_MORE:
            self.defer(winsock_error(error))
        return MIN_RECEIVE_SIZE + (0 if error else int(operation.memory.received))

    def keep_block(self, operation: Operation, nbytes: int) -> None:
        """Leave what is in a block to the next receive: there is no memory for a result."""
        if operation.block is not None:
            self.pushed_back = memoryview(ffi.buffer(operation.block, nbytes))
            operation.block = None

    def push_back(self, data: bytes) -> None:
        """Put bytes back, to be the first that the next receive gives."""
        if data:
            self.pushed_back = memoryview(data + self.pushed_back)

    def drop_pushed_back(self, nbytes: int) -> None:
        """Drop the first ``nbytes`` bytes of those that were pushed back, for they were taken."""
        # Of a view, the rest is no copy.  An empty one would keep them all.
        self.pushed_back = self.pushed_back[nbytes:] or b""

    def has_something(self) -> bool:
        """Tell whether the next receive gets bytes or an error without asking the system."""
        return bool(self.pushed_back or self.deferred_error)

    def defer(self, error: OSError) -> None:
        """Have the next receive fail with an error, because this one has bytes to give."""
        # Its traceback leads to the socket, which this must not keep alive.
        self.deferred_error = error.with_traceback(None)

    def cancel(self) -> None:
        """Ask the kernel to give up the operation that it has; it is repeated then."""
        if self.operation is not None:
            self.operation.cancel()

    def close(self, sock: socket.socket) -> None:
        """Close the socket; if the kernel has an operation of it, the handle follows later."""
        self.pushed_back = b""
        self.deferred_error = None
        self.receive_size = MIN_RECEIVE_SIZE
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(sock)
        operation = self.operation
        if operation is None or operation.state is not State.SUBMITTED:
            sock.close()
            return
        sock.detach()
        operation.closing = True
        operation.cancel()

    def abandon(self, sock: socket.socket, operation: Operation) -> None:
        """Give up an operation that the kernel has, since nobody will wait for its packet."""
        self.operation = None
        if operation.closing:
            close_handle(operation.handle)
        elif sock.fileno() == operation.handle:
            operation.cancel()
        abandon(operation)


_receivers: Final[weakref.WeakKeyDictionary[socket.socket, Receiver]] = weakref.WeakKeyDictionary()


def receiver_of(sock: socket.socket) -> Receiver:
    """Return the one `Receiver` of a standard library socket."""
    receiver = _receivers.get(sock)
    if receiver is None:
        counters.sockets += 1
        receiver = _receivers[sock] = Receiver(sock.type == socket.SOCK_STREAM)
    return receiver


def close_handle(handle: int) -> None:
    """Close the handle of a socket that its program has closed already.

    Winsock may refuse to: WSAEWOULDBLOCK where the socket lingers.  Whoever closed it cannot be
    told any more, and what a receive fails with is that it was closed.
    """
    with suppress(OSError):
        socket.close(handle)


def closed_error() -> trio.ClosedResourceError:
    """Return the error of a receive whose socket was closed in the meantime."""
    return trio.ClosedResourceError("another task closed this socket")
