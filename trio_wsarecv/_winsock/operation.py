"""One receive that the kernel has, and everything that must outlive it.

From the call that submits an operation until its completion packet has been dequeued, the kernel
owns the ``OVERLAPPED`` and the memory that it receives into: it may write there at any moment, on
any processor.  Until the packet is in, the address must not serve anything else either, since the
address is all that tells one packet from another.  So an `Operation` holds all of it.

What the kernel writes into the ``OVERLAPPED``, it writes when the packet is dequeued, or earlier;
nobody promises when.  So whether the kernel has an operation is a state of our own, and the
``OVERLAPPED`` is read once, after the packet.

``CancelIoEx`` is a request.  It may come too late; the packet tells.
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

#: What a receive that waits is given, unless the program gives more, in bytes.
MIN_RECEIVE_SIZE: Final = 1024

# As a plain integer, whose operators are not written in Python.
_MSGSIZE: Final = int(WinsockError.WSAEMSGSIZE)

#: The kernel writes an NTSTATUS into the low half of ``Internal``.
STATUS_MASK: Final = 0xFFFFFFFF


class State(enum.Enum):
    """Who has an operation."""

    IDLE = enum.auto()
    """We have: it can be submitted."""
    UNKNOWN = enum.auto()
    """Nobody knows: the call that submits it has not returned."""
    SUBMITTED = enum.auto()
    """The kernel has: its packet is still to come."""
    AWAITED = enum.auto()
    """The kernel has, and a task is registered as the one that its packet wakes."""
    COMPLETED = enum.auto()
    """We have, its packet is in, and nobody has looked yet what it brought."""
    ABANDONED = enum.auto()
    """Nobody waits for its packet any more, so that it must stay as it is for good."""


_IN_KERNEL: Final = frozenset({State.UNKNOWN, State.SUBMITTED, State.AWAITED})


class Operation:
    """One overlapped ``WSARecv`` on one socket, used again when its packet is in.

    Attributes:
      packet_follows_success: whether a packet follows a receive that succeeds inline.
      memory: the ``RECEIVE``, with the flags that a request sets before each call.
      overlapped: the ``OVERLAPPED`` in it, and ``address`` its address.
      small: `MIN_RECEIVE_SIZE` bytes in it.
      wsabuf: the ``WSABUF`` in it, in use unless there are several buffers.
      target: the memory of our own that ``wsabuf`` has, where a receive that makes bytes finds
        them; None if it has other memory.
      room: how many bytes the request has room for.
      block: memory that is lent by the run, or None.
      exports: the program's buffers, held in place.
      submit: calls Winsock; returns 0, or anything else if ``WSAGetLastError`` has the code.
      state: who has the operation.
      asked: what the program asked for first while the kernel had it: cancellation or closing.
      raise_cancel: what Trio handed over when it asked for cancellation, else None.
      closing: whether the socket was closed while the kernel had this operation.
    """

    #: Whether it is a ``WSARecvMsg``.
    is_message: bool = False
    #: Whether bytes have no boundaries.
    is_stream: bool = True

    # How many WSABUF a call is given of an operation's own.
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
        # A place for the byte count is for a call that no packet follows.
        follows = self.packet_follows_success
        received = NULL if follows else ffi.addressof(self.memory, "received")
        self._buffers: tuple[Any, int] | None = None  # until it is done, so that it is done again
        self.submit: Callable[[], int] = self._call(buffers, received, self.overlapped)
        self._nonblocking: Callable[[], int] | None = None
        self._buffers = buffers

    def _call(
        self, buffers: tuple[object, int], received: object, overlapped: object
    ) -> Callable[[], int]:
        # The call of Winsock, with all its arguments.
        function = calls.ws2_32.WSARecv
        return partial(function, self.handle, *buffers, received, self._flags, overlapped, NULL)

    def set_memory(self, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into memory of our own: a block, if one has been lent."""
        if self.exports:
            self.release()  # what an exception has left
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

        It can be neither moved nor resized until `release`.

        Raises:
          ValueError: the buffer has become too small, before it came here.
        """
        if self.exports:
            self.release()  # what an exception has left
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
        self.target = None  # so that the next one sets its own, although it may be as large
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
        self.exports.append(wsabufs)  # so that there is something to release, buffers or not
        self.memory.flags = flags
        self._bind((wsabufs, count))

    def set_control_size(self, size: int) -> None:
        """Have room for so many bytes of control messages, where there can be any."""

    def unpack(self, nbytes: int) -> bytes:
        """Return the first bytes that the completed receive has brought."""
        data: bytes = ffi.unpack(self.target, nbytes)
        return data

    def view(self, nbytes: int) -> memoryview:
        """Return them where they are, for as long as the operation lives."""
        return memoryview(ffi.buffer(self.target, nbytes))

    def sender(self) -> Any:
        """Return the address that the completed receive came from."""
        return NO_SENDER

    def message(self, flags: int, control_size: int) -> tuple[AncillaryData, int, Any]:
        """Return what came along with the data of a message: control messages, flags, address.

        Args:
          flags: the flags of the completion.
          control_size: the room for control messages, in bytes.
        """
        return [], flags, None

    def release(self) -> None:
        """Give the program's buffers back, unless the kernel may still write there."""
        if self.state is State.ABANDONED:
            return
        if self._buffers is not self._own_buffers:
            self._bind(self._own_buffers)
        while self.exports:
            ffi.release(self.exports.pop())

    def receive_nonblocking(self) -> int:
        """Receive what has arrived, without an ``OVERLAPPED`` and so without a packet.

        Returns:
          0, and ``memory.received`` counts the bytes; else the Winsock error code:
          WSAEWOULDBLOCK if there is nothing to receive yet.  WSAEMSGSIZE is no error: the count
          tells if data is lost, the flags if control data is.
        """
        self.memory.received = 0
        if self._nonblocking is None:
            received = ffi.addressof(self.memory, "received")
            self._nonblocking = self._call(self._buffers or self._own_buffers, received, NULL)
        error = calls.ws2_32.WSAGetLastError() if self._nonblocking() else 0
        return 0 if error == _MSGSIZE else error

    def receive_more(self, block: Any, nbytes: int) -> int:
        """Move what has filled our memory into a larger block, and receive what has arrived since.

        Args:
          block: where all bytes will be, in place of a block that there was.
          nbytes: the most bytes to have there in the end.

        Returns:
          0, and ``memory.received`` counts what was added; else the Winsock error code.
        """
        ffi.memmove(block, self.target, self.room)
        self.target = self.block = block
        self.wsabuf.buf = block + self.room
        self.wsabuf.len = nbytes - self.room
        self.memory.flags = 0
        return self.receive_nonblocking()

    @property
    def is_in_kernel(self) -> bool:
        """Whether the kernel has it, or may have it."""
        return self.state in _IN_KERNEL

    def ask(self, what: Asked) -> None:
        """Ask for the end of the operation, if the kernel has it; what was asked first counts."""
        if self.is_in_kernel:
            self.asked = self.asked or what
            self.cancel()

    @property
    def status(self) -> int:
        """The NTSTATUS of the operation, once its packet is in."""
        return self.overlapped.Internal & STATUS_MASK

    def cancel(self) -> None:
        """Ask the kernel to give the operation up, if it has it."""
        if self.is_in_kernel:
            calls.kernel32.CancelIoEx(self.handle, self.overlapped)
