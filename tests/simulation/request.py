"""One receive that the kernel has: where it will write, and what must not change until then.

The array of ``WSABUF`` may be gone when the call has returned.  The buffers, the sender's address
and its length, the ``WSAMSG`` and the control buffer belong to the kernel until the receive has
completed, the ``OVERLAPPED`` until its packet has been dequeued.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import trio

from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

from .behaviour import CancelAnswer
from .memory import Memory, address_of, peek, poke, real

SNAPSHOT = 4096

#: The error that a call reports inline for a status.
INLINE_ERRORS: dict[int, WinsockError] = {
    NtStatus.BUFFER_OVERFLOW: WinsockError.WSAEMSGSIZE,
    NtStatus.CONNECTION_RESET: WinsockError.WSAECONNRESET,
    NtStatus.CONNECTION_ABORTED: WinsockError.WSAECONNABORTED,
    NtStatus.PORT_UNREACHABLE: WinsockError.WSAECONNRESET,
    NtStatus.HOPLIMIT_EXCEEDED: WinsockError.WSAENETRESET,
    NtStatus.HOST_UNREACHABLE: WinsockError.WSAEHOSTUNREACH,
    NtStatus.GRACEFUL_DISCONNECT: WinsockError.WSAEDISCON,
}


@dataclass(frozen=True)
class Result:
    """How a receive ends.

    The sender is a ``SOCKADDR``.  `is_cut` tells whether the data is a truncated datagram.
    """

    status: int
    data: bytes = b""
    sender: bytes = b""
    control: bytes = b""
    is_cut: bool = False

    @property
    def is_error(self) -> bool:
        """Whether the status has the severity "error"."""
        return self.status >> 30 == 3

    @property
    def inline_error(self) -> int:
        """What a call reports that ends so before it returns."""
        return INLINE_ERRORS.get(self.status, 0)


def current_task() -> weakref.ref[trio.lowlevel.Task] | None:
    if not trio.lowlevel.in_trio_task():
        return None
    return weakref.ref(trio.lowlevel.current_task())


@dataclass(eq=False)
class Request:
    """A receive that was submitted.

    Attributes:
      address: of the ``OVERLAPPED``, or 0.
      buffers: address and size of each, in order.
      flags: what the caller asked for.
      sender: where the sender's address goes, or 0.
      sender_size: where the size of that address goes.
      message: address of the ``WSAMSG``, or 0.
      answer: how it was cancelled.
      done: whether it has completed.
      iosb_written: whether ``Internal`` and ``InternalHigh`` have been written.
    """

    memory: Memory
    is_stream: bool
    handle: int
    address: int
    buffers: list[tuple[int, int]]
    flags: MsgFlag
    sender: int = 0
    sender_size: int = 0
    message: int = 0
    task: weakref.ref[trio.lowlevel.Task] | None = field(default_factory=current_task)
    answer: CancelAnswer | None = None
    done: bool = False
    iosb_written: bool = False
    result: Result | None = None
    _before: list[bytes] = field(default_factory=list)

    @property
    def capacity(self) -> int:
        return sum(size for _, size in self.buffers)

    @property
    def overlapped(self) -> Any:
        return real.cast("OVERLAPPED *", self.address)

    @property
    def event(self) -> int:
        return int(self.overlapped.hEvent)

    @property
    def control_size(self) -> int:
        return int(real.cast("WSAMSG *", self.message).Control.len) if self.message else 0

    def regions(self) -> list[tuple[str, int, int]]:
        """List everything that the kernel will write to: what it is, its address and its size."""
        regions = [("OVERLAPPED", self.address, real.sizeof("OVERLAPPED") if self.address else 0)]
        regions += [("buffer", address, size) for address, size in self.buffers]
        if self.sender:
            length = real.cast("int32_t *", self.sender_size)[0]
            regions.append(("sender's address", self.sender, length))
            regions.append(("size of the sender's address", self.sender_size, 4))
        if self.message:
            message = real.cast("WSAMSG *", self.message)
            name, control = address_of(message.name), address_of(message.Control.buf)
            regions.append(("WSAMSG", self.message, real.sizeof("WSAMSG")))
            regions.append(("sender's address", name, message.namelen if name else 0))
            regions.append(("control data", control, message.Control.len if control else 0))
        return regions

    def faults(self) -> list[str]:
        """Say what is wrong with the memory that this receive is to write to."""
        return [
            f"the {what} of a receive {fault}"
            for what, address, size in self.regions()
            if size and (fault := self.memory.fault(address, size))
        ]

    def overlaps(self, address: int, size: int) -> bool:
        """Tell whether the kernel has something in this memory."""
        regions = self.regions()[:1] if self.done else self.regions()
        return any(start < address + size and address < start + n for _, start, n in regions)

    def begin(self) -> None:
        """Take over the memory."""
        self.overlapped.Internal = NtStatus.PENDING
        self._before = self._contents()

    def _contents(self) -> list[bytes]:
        # Without the shared area, to which several receives write at the same time.
        return [
            peek(address, min(size, SNAPSHOT))
            for address, size in self.buffers
            if not self.memory.is_shared(address)
        ]

    def disturbed(self) -> bool:
        """Tell whether something has written to the memory that the kernel has."""
        if self.overlapped.Internal != NtStatus.PENDING:
            return True
        return not self.done and self._contents() != self._before

    def write_iosb(self) -> None:
        """Write ``InternalHigh``, and ``Internal`` last, as the kernel does."""
        assert self.result is not None
        self.overlapped.InternalHigh = len(self.result.data)
        self.overlapped.Internal = self.result.status
        self.iosb_written = True

    def complete(self, result: Result) -> None:
        """Write all but ``Internal`` and ``InternalHigh``."""
        self.result, self.done = result, True
        rest = result.data
        for address, size in self.buffers:
            part, rest = rest[:size], rest[size:]
            poke(address, part)
        assert not rest
        if self.is_stream:
            return  # Winsock writes no sender
        if self.sender:
            length = real.cast("int32_t *", self.sender_size)
            poke(self.sender, result.sender[: length[0]])
            length[0] = len(result.sender)
        if self.message:
            self._write_message(result)

    def _write_message(self, result: Result) -> None:
        message = real.cast("WSAMSG *", self.message)
        control = result.control[: message.Control.len]
        message.dwFlags = MsgFlag.MSG_TRUNC if result.is_cut else 0
        if control != result.control:
            message.dwFlags |= MsgFlag.MSG_CTRUNC
        if message.name:
            poke(address_of(message.name), result.sender[: message.namelen])
            message.namelen = len(result.sender)
        if control:
            poke(address_of(message.Control.buf), control)
        message.Control.len = len(control)
