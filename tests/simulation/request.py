"""One receive that the kernel has: where it will write, and what must not change until then."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from trio_wsarecv._codes import MsgFlag, NtStatus

from .memory import peek, poke, real

if TYPE_CHECKING:
    from .behaviour import CancelAnswer
    from .endpoint import Endpoint
    from .memory import Memory

SNAPSHOT = 4096


@dataclass(frozen=True)
class Result:
    """How a receive ends."""

    status: NtStatus
    data: bytes = b""
    sender: bytes = b""
    control: bytes = b""


def current_task() -> weakref.ref[trio.lowlevel.Task]:
    return weakref.ref(trio.lowlevel.current_task())


@dataclass(eq=False)
class Request:
    """A receive on its way through the kernel.

    Attributes:
      address: of the ``OVERLAPPED``.
      buffers: address and size of each, in order.
      flags: what the caller asked for.
      sender: where the sender's address goes, and where its length; 0 where nobody asked.
      message: address of the ``WSAMSG``, or 0.
      task: the task that submitted it.
      answer: what is to come of a cancellation that was accepted.
      done: whether the result has been written and the packet posted.
    """

    endpoint: Endpoint
    handle: int
    address: int
    buffers: list[tuple[int, int]]
    flags: MsgFlag
    sender: int = 0
    sender_size: int = 0
    message: int = 0
    task: weakref.ref[trio.lowlevel.Task] = field(default_factory=current_task)
    answer: CancelAnswer | None = None
    done: bool = False
    _before: list[bytes] = field(default_factory=list)

    @property
    def capacity(self) -> int:
        return sum(size for _, size in self.buffers)

    @property
    def overlapped(self) -> Any:
        return real.cast("OVERLAPPED *", self.address)

    def stretches(self) -> list[tuple[str, int, int]]:
        """List everything that the kernel will write to."""
        stretches = []
        if self.address:
            stretches.append(("OVERLAPPED", self.address, real.sizeof("OVERLAPPED")))
        stretches += [("buffer", address, size) for address, size in self.buffers]
        if self.sender:
            length = real.cast("int32_t *", self.sender_size)[0]
            stretches.append(("sender's address", self.sender, length))
            stretches.append(("size of the sender's address", self.sender_size, 4))
        if self.message:
            message = real.cast("WSAMSG *", self.message)
            stretches.append(("WSAMSG", self.message, real.sizeof("WSAMSG")))
            control = int(real.cast("uintptr_t", message.Control.buf))
            if control:
                stretches.append(("control data", control, message.Control.len))
        return stretches

    def faults(self, memory: Memory) -> list[str]:
        """Say what is wrong with the memory that this receive is to write to."""
        found = []
        for what, address, size in self.stretches():
            if size and (fault := memory.fault(address, size)):
                found.append(f"the {what} of a receive {fault}")
        return found

    def overlaps(self, address: int, size: int) -> bool:
        """Tell whether freeing a stretch of memory would pull something from under the kernel."""
        stretches = self.stretches()[:1] if self.done else self.stretches()
        return any(start < address + size and address < start + n for _, start, n in stretches)

    def begin(self) -> None:
        """Take the memory over."""
        self.overlapped.Internal = NtStatus.PENDING
        self._before = [peek(address, min(size, SNAPSHOT)) for address, size in self.buffers]

    def disturbed(self) -> bool:
        """Tell whether anybody has written to what the kernel has."""
        return (
            self.overlapped.Internal != NtStatus.PENDING
            or [peek(address, min(size, SNAPSHOT)) for address, size in self.buffers]
            != self._before
        )

    def write(self, result: Result) -> None:
        """Write the result: buffers first, ``Internal`` last, as the kernel does."""
        self.write_data(result)
        self.overlapped.InternalHigh = len(result.data)
        self.overlapped.Internal = result.status
        self.done = True

    def write_data(self, result: Result) -> None:
        """Write what has been received, and where it comes from."""
        rest = result.data
        for address, size in self.buffers:
            part, rest = rest[:size], rest[size:]
            poke(address, part)
        assert not rest
        if self.sender:
            length = real.cast("int32_t *", self.sender_size)
            poke(self.sender, result.sender[: length[0]])
            length[0] = len(result.sender)
        if self.message:
            self._write_message(result)

    def _write_message(self, result: Result) -> None:
        message = real.cast("WSAMSG *", self.message)
        flags = MsgFlag(0)
        if result.status == NtStatus.BUFFER_OVERFLOW:
            flags |= MsgFlag.MSG_TRUNC
        if len(result.control) > message.Control.len:
            flags |= MsgFlag.MSG_CTRUNC
        if message.name:
            name = int(real.cast("uintptr_t", message.name))
            poke(name, result.sender[: message.namelen])
            message.namelen = len(result.sender)
        control = result.control[: message.Control.len]
        if control:
            poke(int(real.cast("uintptr_t", message.Control.buf)), control)
        message.Control.len = len(control)
        message.dwFlags = flags
