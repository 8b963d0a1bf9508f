"""One receive that the kernel has, and everything that must outlive it.

From the call that submits an operation until its completion packet has been dequeued, the kernel
owns the ``OVERLAPPED`` and the memory that it receives into: it may write there at any moment, on
any processor.  And until the packet is in, the address must not serve anything else, for the
address is all that tells one packet from another.  So an `Operation` holds all of it, the task
that waits holds the operation, and where a wait is torn down before its packet has come (a run
that crashes, a coroutine that is closed) the operation is buried: kept until the process ends.

``CancelIoEx`` is a request.  Whether it comes too late, and it may, is for the packet to say.
"""

from __future__ import annotations

import atexit
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import trio

from . import _winsock
from ._codes import NtStatus, WinsockError
from ._statistics import counters
from ._status import packet_follows
from ._winsock import NULL, ffi

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from typing_extensions import Buffer

#: The most bytes that one receive asks the kernel for.
MAX_RECEIVE: Final = 1 << 30

_allocate = ffi.new_allocator(should_clear_after_alloc=False)

# How many times as large as needed an operation's own memory may be.  What flows is now more and
# now less, and new memory each time is dear.
_MOST_SPARE: Final = 16

# As a plain integer, which compares faster.
_IO_PENDING: Final = int(WinsockError.WSA_IO_PENDING)

# The kernel writes an NTSTATUS into the low half of Internal.
_STATUS_MASK: Final = 0xFFFFFFFF


class Operation:
    """One overlapped ``WSARecv``; when its packet is in, it may be used again.

    Attributes:
      overlapped: the ``OVERLAPPED``.
      address: its address.
      handle: the socket handle that it was last submitted on.
      at_once: whether it had completed when the call that submitted it returned.
      raise_cancel: what Trio handed over when it asked for cancellation, else None.
      closing: whether the socket was closed while the kernel had this operation.
      buried: whether the wait for its packet was torn down, so that it must never be used again.
    """

    __slots__ = (
        "_arguments",
        "_buffers",
        "_exports",
        "_flags",
        "_function",
        "_memory",
        "_own_memory",
        "_own_size",
        "_room",
        "address",
        "at_once",
        "buried",
        "closing",
        "handle",
        "overlapped",
        "raise_cancel",
    )

    def __init__(self) -> None:
        self._memory = ffi.new("RECEIVE *")
        self._flags = ffi.addressof(self._memory, "flags")
        self.overlapped: _winsock.Overlapped = ffi.addressof(self._memory, "overlapped")
        self.address: int = _winsock.address_of(self.overlapped)
        self._own_memory: object = None
        self._own_size = -1
        self._room = 0
        self._exports: list[Any] = []
        self._function: Callable[..., int] = _winsock.ws2_32.WSARecv
        self._buffers: tuple[object, int] = (ffi.addressof(self._memory, "wsabuf"), 1)
        self._arguments = self._call_arguments(NULL, self.overlapped)
        self.handle: int = -1
        self.at_once: bool = False
        self.raise_cancel: Callable[[], NoReturn] | None = None
        self.closing: bool = False
        self.buried: bool = False

    def _call_arguments(self, received: object, overlapped: object) -> tuple[object, ...]:
        # What the call takes after the socket handle.
        return (*self._buffers, received, self._flags, overlapped, NULL)

    def own_buffer(self, size: int) -> Any:
        """Return memory of the operation's own, as a buffer that gives `bytes` when sliced.

        It has ``size`` bytes at least.
        """
        self._own(size)
        return ffi.buffer(self._own_memory)

    def aim_at_own_buffer(self, nbytes: int, flags: int, size: int = 0) -> None:
        """Receive up to ``nbytes`` bytes into memory of the operation's own.

        That has ``size`` bytes at least, if this is more.
        """
        if size < nbytes:
            size = nbytes
        if size != self._own_size:
            self._own(size)
        memory = self._memory
        memory.wsabuf.buf = self._own_memory
        memory.wsabuf.len = self._room = nbytes
        memory.flags = flags

    def _own(self, size: int) -> None:
        # Has memory of so many bytes, or of some more, but not so many that they would be missed.
        if not size <= self._own_size <= _MOST_SPARE * size:
            self._own_memory = _allocate("char[]", size)
            self._own_size = size

    def take(self) -> bytes:
        """Return what was received into the operation's own memory."""
        data: bytes = ffi.unpack(self._own_memory, self.overlapped.InternalHigh)
        return data

    def aim_at(self, buffer: Buffer, offset: int, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into a buffer, from ``offset`` on.

        The buffer stays exported until `release`, so that it can be neither moved nor resized.
        """
        export = ffi.from_buffer("char[]", buffer, require_writable=True)
        self._exports.append(export)
        self._memory.wsabuf.buf = export + offset
        self._memory.wsabuf.len = self._room = min(nbytes, MAX_RECEIVE)
        self._memory.flags = flags

    def aim_at_all(self, buffers: Sequence[Buffer], offset: int, flags: int) -> None:
        """Receive into several buffers, as if they were one, from ``offset`` on.

        They stay exported until `release`.
        """
        wsabufs = ffi.new("WSABUF[]", len(buffers))
        room = MAX_RECEIVE
        for wsabuf, buffer in zip(wsabufs, buffers, strict=True):
            export = ffi.from_buffer("char[]", buffer, require_writable=True)
            self._exports.append(export)
            skipped = min(offset, len(export))
            offset -= skipped
            wsabuf.buf = export + skipped
            wsabuf.len = min(len(export) - skipped, room)
            room -= wsabuf.len
        self._room = MAX_RECEIVE - room
        self._memory.flags = flags
        self._buffers = (wsabufs, len(buffers))
        self._arguments = self._call_arguments(NULL, self.overlapped)

    def release(self) -> None:
        """Give exported buffers back to their owner, unless the kernel may still write there."""
        if not self.buried:
            while self._exports:
                ffi.release(self._exports.pop())

    def submit(self, handle: int) -> int:
        """Hand the operation to the kernel.

        Returns:
          0 if the kernel has taken it, so that its packet will come; else the Winsock error
          code, and no packet will.
        """
        self.handle = handle
        self.raise_cancel = None
        self.overlapped.Internal = 0
        counters.wsarecv_calls += 1
        if not self._function(handle, *self._arguments):
            counters.immediate += 1
            self.at_once = True
            return 0
        self.at_once = False
        error = _winsock.ws2_32.WSAGetLastError()
        if error == _IO_PENDING:
            counters.pended += 1
            return 0
        if packet_follows(error, self.status):
            counters.immediate += 1
            return 0
        # Winsock leaves STATUS_PENDING behind.
        self.overlapped.Internal = 0
        counters.failed += 1
        return error

    def receive_now(self, handle: int) -> int:
        """Receive what is there already, without an ``OVERLAPPED`` and so without a packet.

        Returns:
          0, and the result is where a completion would have left it; else the Winsock error
          code: WSAEWOULDBLOCK, and nothing has happened, if there is nothing to receive yet.
        """
        if handle == -1:
            return WinsockError.WSAENOTSOCK
        memory = self._memory
        memory.received = 0
        counters.wsarecv_calls += 1
        status = 0
        received = ffi.addressof(memory, "received")
        if self._function(handle, *self._call_arguments(received, NULL)):
            error = _winsock.ws2_32.WSAGetLastError()
            if error != WinsockError.WSAEMSGSIZE:
                return error
            status = NtStatus.BUFFER_OVERFLOW
            # A call that fails need not say how much it has received.
            if not memory.received and self._fills_buffers():
                memory.received = self._room
        self.overlapped.Internal = status
        self.overlapped.InternalHigh = memory.received
        counters.bytes += memory.received
        return 0

    def attempt(self, handle: int) -> None:
        """Do what `receive_now` does, as a function of the standard library would.

        Raises:
          OSError: the error of the call; `BlockingIOError` if there is nothing to receive yet.
        """
        error = self.receive_now(handle)
        if error:
            raise _winsock.winsock_error(error)

    def _fills_buffers(self) -> bool:
        # Whether a message that did not fit has filled the buffers.
        return True

    @property
    def status(self) -> int:
        """The NTSTATUS of the submitted operation."""
        return self.overlapped.Internal & _STATUS_MASK

    @property
    def in_kernel(self) -> bool:
        """Whether the kernel still has the submitted operation."""
        return self.overlapped.Internal & _STATUS_MASK == NtStatus.PENDING

    @property
    def nbytes(self) -> int:
        """The number of bytes that the completed operation received."""
        return self.overlapped.InternalHigh

    def cancel(self) -> None:
        """Ask the kernel to give the operation up, unless it has done with it."""
        if self.in_kernel:
            _winsock.kernel32.CancelIoEx(self.handle, self.overlapped)

    def abort(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        """Pass Trio's request to cancel on to the kernel; the packet wakes the task."""
        self.raise_cancel = raise_cancel
        self.cancel()
        return trio.lowlevel.Abort.FAILED

    def close_handle(self) -> None:
        """Close the socket handle, which closing the socket left to this operation."""
        self.closing = False
        socket.close(self.handle)

    def bury(self) -> None:
        """Give the operation up and keep it for the life of the process."""
        self.buried = True
        _graveyard.append(self)
        self.cancel()
        if self.closing:
            self.close_handle()


_graveyard: Final[list[Operation]] = []


@atexit.register
def _await_the_buried() -> None:
    # When the interpreter ends, its memory goes, the graveyard's too.  The kernel has been asked
    # to give these operations up and does so within moments; a bounded wait sees it done.
    deadline = time.monotonic() + 1.0
    while any(operation.in_kernel for operation in _graveyard) and time.monotonic() < deadline:
        time.sleep(0.001)
