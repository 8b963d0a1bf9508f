"""The receiving side of one socket: its engine, its operation, and bytes not yet handed out.

There is one `Receiver` for each standard library socket, shared by whatever wraps that socket.
The kernel has at most one receive of a socket at a time: it would fill the buffers of several in
the order of their submission, but it gives up all of them when one is cancelled.

A socket whose receive is in the kernel must not lose its handle: the number may serve another
socket at once, and whoever still has it in mind would cancel a stranger's operation.  So closing
takes the handle away from the socket, which is closed from then on, asks the kernel to give the
receive up, and leaves the closing of the handle to the moment when the packet is in.
"""

from __future__ import annotations

import socket
import weakref
from typing import Final

import trio

from . import _association
from ._association import Engine, choose_engine, this_run
from ._codes import MsgFlag, NtStatus
from ._operation import Operation

#: What a receive of unknown size posts on a connection that has been quiet, in bytes.
SMALLEST_POST: Final = 1024
#: What it posts at the most, in bytes.
LARGEST_POST: Final = 512 * 1024


# As plain integers, whose operators are not written in Python.
PENDING: Final = int(NtStatus.PENDING)
PEEK: Final = int(MsgFlag.MSG_PEEK)
OOB: Final = int(MsgFlag.MSG_OOB)


class Receiver:
    """What is known of the receiving side of one socket.

    Its methods take the socket as an argument: a reference to it here would keep a socket that
    was dropped from ever being closed.

    Attributes:
      is_stream: whether bytes have no boundaries and their end is an empty receive.
      kept: bytes that were received for a call that was then cancelled; the next receive begins
          with them.
      deferred_error: what the next receive fails with, because the last one had bytes to give.
      reserved: whether a receive of several steps is under way.
      operation: the operation that was submitted last.
      eager: whether the last receive found data waiting, so that it pays to look for more before
          asking the kernel to tell.
      post: how many bytes the next receive of unknown size posts.
    """

    __slots__ = (
        "_engine",
        "_run",
        "_spare",
        "deferred_error",
        "eager",
        "is_stream",
        "kept",
        "operation",
        "post",
        "reserved",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.is_stream: bool = sock.type == socket.SOCK_STREAM
        self.kept: bytes = b""
        self.deferred_error: OSError | None = None
        self.reserved: bool = False
        self.operation: Operation | None = None
        self.eager: bool = False
        self.post: int = SMALLEST_POST
        self._spare: Operation | None = None
        self._run: object = None
        self._engine = Engine.NOT_WINDOWS

    def is_overlapped(self, sock: socket.socket) -> bool:
        """Tell whether the overlapped engine serves this socket in the current `trio.run`."""
        run = this_run.get(None)
        if run is None or run is not self._run:
            if sock.fileno() == -1:
                return False  # either engine refuses it
            self._engine = choose_engine(sock)
            self._run = this_run.get()
        return self._engine is Engine.OVERLAPPED

    def uses_stdlib(self, sock: socket.socket, flags: int) -> bool:
        """Tell whether to call the standard library's own receive when the socket is readable.

        On Windows that call keeps the beginning of a datagram that does not fit to itself, so
        datagrams are received there by calls of ours in either way.
        """
        if self.is_overlapped(sock):
            return self.is_stream and bool(flags & PEEK)
        return self.is_stream or not _association.on_windows

    def check_free(self, *, mine: bool = False) -> None:
        """Raise `trio.BusyResourceError` if another task is receiving.

        Args:
          mine: whether it is the caller who has made the reservation, if there is one.
        """
        operation = self.operation
        if (self.reserved and not mine) or (operation and operation.overlapped.Internal == PENDING):
            raise trio.BusyResourceError("another task is receiving on this socket")

    def borrow_operation(self) -> Operation:
        """Return an operation to submit; the one of the last receive, if it is done."""
        operation, self._spare = self._spare or Operation(), None
        return operation

    def return_operation(self, operation: Operation) -> None:
        """Take back an operation that is done with, unless it had to be buried."""
        if not operation.buried:
            operation.release()
            self._spare = operation

    def keep(self, data: bytes) -> None:
        """Put bytes back, to be the first that the next receive gives."""
        self.kept = data + self.kept

    def defer(self, error: OSError) -> None:
        """Have the next receive fail with an error, because this one has bytes to give."""
        # Its traceback leads to the socket, which this must not keep alive.
        self.deferred_error = error.with_traceback(None)

    def take_kept(self, nbytes: int) -> bytes:
        """Take out the first ``nbytes`` bytes at the most of those that were kept."""
        data, self.kept = self.kept[:nbytes], self.kept[nbytes:]
        return data

    def adapt(self, received: int) -> None:
        """Post next time what would hold twice as much as came this time.

        What is posted is locked into memory until data comes.  So a quiet connection posts
        little and drains what did not fit, and large buffers are for flows that fill them.
        """
        wanted = 1 << (2 * received - 1).bit_length() if received else 0
        self.post = min(max(wanted, SMALLEST_POST), LARGEST_POST)

    def cancel(self) -> None:
        """Ask the kernel to give up a receive that it has; unless told to end, it is repeated."""
        if self.operation is not None:
            self.operation.cancel()

    def close(self, sock: socket.socket) -> None:
        """Close the socket; if the kernel has a receive of it, the handle follows later."""
        self.kept = b""
        self.deferred_error = None
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(sock)
        operation = self.operation
        if operation is None or not operation.in_kernel:
            sock.close()
            return
        sock.detach()
        operation.closing = True
        operation.cancel()


_receivers: Final[weakref.WeakKeyDictionary[socket.socket, Receiver]] = weakref.WeakKeyDictionary()


def receiver_of(sock: socket.socket) -> Receiver:
    """Return the one `Receiver` of a standard library socket."""
    receiver = _receivers.get(sock)
    if receiver is None:
        receiver = _receivers[sock] = Receiver(sock)
    return receiver
