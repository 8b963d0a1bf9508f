"""One overlapped receive, and everything that must live as long as the kernel has it.

From the call that submits an operation until its completion packet has been dequeued, the kernel
owns the ``OVERLAPPED`` and the memory that it receives into: it may write there at any moment, on
any processor.  Until then the address of the ``OVERLAPPED`` must not be used for anything else
either, since it is all that identifies the packet.  So an `Operation` holds all of it.

The kernel writes the result into the ``OVERLAPPED`` when the packet is dequeued, or earlier; when
is not documented.  So whether the kernel has an operation is a state of its own here, and the
``OVERLAPPED`` is read once, after the packet.

``CancelIoEx`` is a request.  It may come too late; the packet tells whether it did.
"""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import calls
from .calls import NULL, ffi
from .codes import WinsockError
from .parse import NO_SENDER, AncillaryData
from .status import Asked, Mode, packet_follows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from typing_extensions import Buffer

#: The size of a receive that waits, unless its flow is larger or the program has a buffer.
MIN_RECEIVE_SIZE: Final = 1024

# A plain integer: the operators of an enum are Python code.
MSGSIZE: Final = int(WinsockError.WSAEMSGSIZE)

#: The kernel writes an NTSTATUS into the low half of ``Internal``.
STATUS_MASK: Final = 0xFFFFFFFF


class State(enum.Enum):
    """Who has an operation."""

    IDLE = enum.auto()
    """The engine: it can be submitted."""
    UNKNOWN = enum.auto()
    """Not known: the call that submits it has not returned."""
    SUBMITTED = enum.auto()
    """The kernel: its packet is still to come."""
    AWAITED = enum.auto()
    """The kernel, and a task is registered as the one that its packet wakes."""
    COMPLETED = enum.auto()
    """The engine: its packet has been dequeued, and its result has not been read yet."""
    ABANDONED = enum.auto()
    """The kernel, perhaps for ever: nobody waits for its packet."""


_IN_KERNEL: Final = frozenset({State.UNKNOWN, State.SUBMITTED, State.AWAITED})


class Operation:
    """One overlapped ``WSARecv`` on one socket, reused after its packet has been dequeued.

    Attributes:
      packet_follows_success: whether a packet follows a receive that succeeds inline.
      memory: the ``RECEIVE``, with the flags that a request sets before each call.
      overlapped: the ``OVERLAPPED`` in it, and ``address`` its address.
      small: `MIN_RECEIVE_SIZE` bytes in it.
      wsabuf: the ``WSABUF`` in it, used unless there are several buffers.
      target: the memory that ``wsabuf`` points to if the operation provides it; None if the
        program does.
      room: how many bytes the request has room for.
      block: memory that the run has lent, or None.
      exports: the program's buffers, which cannot be resized meanwhile.
      submit: calls Winsock; returns 0, or SOCKET_ERROR if ``WSAGetLastError`` has the code.
      state: who has the operation.
      asked: what was requested first while the kernel had it: cancelling or closing.
      raise_cancel: what Trio passed when it requested the cancellation, else None.
      closing: whether the socket was closed while the kernel had this operation.
    """

    #: Whether it is a ``WSARecvMsg``.
    is_message: bool = False
    #: Whether bytes have no boundaries.
    is_stream: bool = True

    # How many WSABUFs of its own an operation passes.
    _own_count = 1

    def __init__(self, handle: int, mode: Mode = Mode.DEFAULT) -> None:
        self.handle: int = handle
        self.mode: Mode = mode
        self.packet_follows_success: bool = packet_follows(0, 0, mode)
        self.memory: Any = ffi.new("RECEIVE *")
        self.overlapped: calls.Overlapped = ffi.addressof(self.memory, "overlapped")
        self.address: int = calls.address_of(self.overlapped)
        self.small: Any = self.memory.small
        self.wsabuf: Any = self.memory.wsabuf[0]
        self._own_buffers: tuple[Any, int] = ffi.addressof(self.wsabuf), self._own_count
        self.target: Any = None
        self.room: int = 0
        self.block: Any = None
        self.exports: list[Any] = []
        self.state: State = State.IDLE
        self.asked: Asked | None = None
        self.raise_cancel: Callable[[], NoReturn] | None = None
        self.closing: bool = False
        self._flags: object = ffi.addressof(self.memory, "flags")
        self._bind(self._own_buffers)

    def _bind(self, buffers: tuple[object, int]) -> None:
        # The byte count is asked for only if no packet follows an inline success.
        follows = self.packet_follows_success
        received = NULL if follows else ffi.addressof(self.memory, "received")
        self._buffers: tuple[Any, int] | None = None  # if this fails, the next one does it again
        self.submit: Callable[[], int] = self._call(buffers, received, self.overlapped)
        self._nonblocking: Callable[[], int] | None = None
        self._buffers = buffers

    def _call(
        self, buffers: tuple[object, int], received: object, overlapped: object
    ) -> Callable[[], int]:
        # Returns the call of Winsock with all its arguments.
        function = calls.ws2_32.WSARecv
        return partial(function, self.handle, *buffers, received, self._flags, overlapped, NULL)

    def set_memory(self, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into the block that is lent, or else into ``small``."""
        if self.exports or self._buffers is not self._own_buffers:
            self._reset()
        if self.block is None:
            target = self.small
            if nbytes > MIN_RECEIVE_SIZE:
                nbytes = MIN_RECEIVE_SIZE
        else:
            target = self.block
        if target is not self.target or nbytes != self.room:
            self.target = self.wsabuf.buf = target
            self.wsabuf.len = self.room = nbytes
        self.memory.flags = flags

    def set_buffer(self, buffer: Buffer, offset: int, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into a buffer, from ``offset`` on.

        It cannot be resized until `release`.

        Raises:
          ValueError: the buffer has become too small since the request was made.
        """
        if self.exports or self._buffers is not self._own_buffers:
            self._reset()
        export = ffi.from_buffer("char[]", buffer, require_writable=True)
        self.exports.append(export)
        if offset + nbytes > len(export):
            raise ValueError("the buffer was resized during a receive")
        self.target = None
        self.wsabuf.buf = export + offset if offset else export
        self.wsabuf.len = self.room = nbytes
        self.memory.flags = flags

    def set_buffers(self, buffers: Sequence[Buffer], offset: int, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into several buffers, as if they were one."""
        self.release()
        self.target = None  # so the next receive sets its own
        count = len(buffers) + self._own_count - 1
        wsabufs = ffi.new("WSABUF[]", count)
        wsabufs[count - 1] = self.memory.wsabuf[1]  # a datagram's
        self.room = 0
        for wsabuf, buffer in zip(wsabufs, buffers, strict=False):
            export = ffi.from_buffer("char[]", buffer, require_writable=True)
            self.exports.append(export)
            skipped = min(offset, len(export))
            offset -= skipped
            wsabuf.buf = export + skipped
            wsabuf.len = min(len(export) - skipped, nbytes - self.room)
            self.room += wsabuf.len
        self.exports.append(wsabufs)  # so there is something to release even without buffers
        self.memory.flags = flags
        self._bind((wsabufs, count))

    def set_control_size(self, size: int) -> None:
        """Provide room for control messages, in bytes; a stream has none."""

    def unpack(self, nbytes: int) -> bytes:
        """Return the first bytes of the completed receive."""
        data: bytes = ffi.unpack(self.target, nbytes)
        return data

    def view(self, nbytes: int) -> memoryview:
        """Return a view of them, valid as long as the operation lives."""
        return memoryview(ffi.buffer(self.target, nbytes))

    def sender(self) -> Any:
        """Return the sender's address of the completed receive."""
        return NO_SENDER

    def message(self, flags: int, control_size: int) -> tuple[AncillaryData, int, Any]:
        """Return the control messages, flags and address of a completed message.

        Args:
          flags: the flags of the completion.
          control_size: the room for control messages, in bytes.
        """
        return [], flags, None

    def release(self) -> None:
        """Give the program's buffers back, unless the kernel may still write there.

        This allocates nothing, so it cannot fail after a receive whose result has been made.
        """
        while self.exports and self.state is not State.ABANDONED:
            ffi.release(self.exports.pop())

    def _reset(self) -> None:
        # Gives up the buffers of the last receive, also of one that failed.
        self.release()
        self._bind(self._own_buffers)

    def receive_nonblocking(self) -> int:
        """Receive what has arrived, without an ``OVERLAPPED`` and so without a packet.

        Returns:
          0, and ``memory.received`` counts the bytes; else the Winsock error code:
          WSAEWOULDBLOCK if there is nothing to receive.  WSAEMSGSIZE is no error here: the count
          shows whether data is lost, the flags whether control data is.
        """
        self.memory.received = 0
        error = calls.ws2_32.WSAGetLastError() if self.nonblocking()() else 0
        return 0 if error == MSGSIZE else error

    def nonblocking(self) -> Callable[[], int]:
        """Return the call that `receive_nonblocking` makes: of Winsock, with all its arguments."""
        if self._nonblocking is None:
            received = ffi.addressof(self.memory, "received")
            self._nonblocking = self._call(self._buffers or self._own_buffers, received, NULL)
        return self._nonblocking

    def move_to(self, block: Any, nbytes: int) -> None:
        """Move what has filled the memory into a larger block; the next receive adds to it.

        Args:
          block: the larger block, which replaces the one before.
          nbytes: the most bytes to have there at the end.
        """
        ffi.memmove(block, self.target, self.room)
        self.target = self.block = block
        self.wsabuf.buf = block + self.room
        self.wsabuf.len = nbytes - self.room
        self.memory.flags = 0

    @property
    def is_in_kernel(self) -> bool:
        """Whether the kernel has it, or may have it."""
        return self.state in _IN_KERNEL

    def ask(self, what: Asked) -> None:
        """Request the end of the operation, if the kernel has it; the first request counts."""
        if self.is_in_kernel:
            self.asked = self.asked or what
            self.cancel()

    @property
    def status(self) -> int:
        """The NTSTATUS of the operation, valid once it has completed."""
        return self.overlapped.Internal & STATUS_MASK

    def cancel(self) -> None:
        """Ask the kernel to cancel the operation, if it has it."""
        if self.is_in_kernel:
            calls.kernel32.CancelIoEx(self.handle, self.overlapped)
