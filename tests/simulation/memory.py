"""The memory that the engine gives to the kernel, watched.

`WatchedFfi` replaces the package's cffi object.  What the package allocates comes from an arena
that surrounds every block with guards, fills it with garbage, and reuses the block that was freed
last first.  Buffers that the package exports are recorded for as long as the export lives.  So the
kernel can tell at any moment whether the memory it was given is still there.  One area is shared:
what does not fit a datagram's buffers goes there, and nobody reads it.
"""

from __future__ import annotations

import gc
import weakref
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trio_wsarecv._winsock import calls
from trio_wsarecv._winsock.operation import Operation, State

real: Any = calls.ffi

GUARD = 64
FILL_LIMIT = 1 << 16


def address_of(pointer: object) -> int:
    return int(real.cast("uintptr_t", pointer))


def peek(address: int, nbytes: int) -> bytes:
    return bytes(real.buffer(real.cast("char *", address), nbytes))


def poke(address: int, data: bytes) -> None:
    real.memmove(real.cast("char *", address), data, len(data))


@dataclass(eq=False)
class Block:
    """A block of memory from the arena, between its guards."""

    backing: Any
    address: int
    size: int

    def fill(self, octet: bytes) -> None:
        poke(self.address, octet * min(self.size, FILL_LIMIT))

    def guards(self) -> bytes:
        return peek(self.address - GUARD, GUARD) + peek(self.address + self.size, GUARD)


@dataclass(eq=False)
class Export:
    """A buffer of the program, which the package has exported."""

    address: int
    size: int
    buffer: Any

    def can_move(self) -> bool:
        """Tell whether the buffer can be resized: then nothing exports it any more."""
        if not isinstance(self.buffer, bytearray):
            return False
        try:
            self.buffer.append(0)
        except BufferError:
            return False
        self.buffer.pop()
        return True


def _is_abandoned(address: int) -> bool:
    # Whether an operation that is kept for good refers to this memory.
    return any(
        isinstance(each, real.CData)
        and real.typeof(each).kind in ("pointer", "array")
        and address_of(each) == address
        for operation in gc.get_objects()
        if isinstance(operation, Operation) and operation.state is State.ABANDONED
        for each in gc.get_referents(operation)
    )


class Memory:
    """All that the package has allocated and exported."""

    def __init__(
        self, complain: Callable[[str], None], in_use: Callable[[int, int], str | None]
    ) -> None:
        self.blocks: dict[int, Block] = {}
        self.exports: dict[int, Export] = {}
        self._perhaps_lost: list[Export] = []
        self._shared: Block | None = None
        self._complain = complain
        self._in_use = in_use
        self._free = defaultdict[int, list[Block]](list)
        self._perhaps_freed: list[tuple[Block, str]] = []
        self.new = real.new_allocator(self._allocate, self._release)
        self.new_uncleared = real.new_allocator(self._allocate, self._release, False)

    def _allocate(self, size: int) -> object:
        if self._free[size]:
            block = self._free[size].pop()
        else:
            backing = real.new("char[]", size + 2 * GUARD)
            block = Block(backing, address_of(backing) + GUARD, size)
            poke(block.address - GUARD, b"\xfa" * GUARD)
            poke(block.address + size, b"\xfa" * GUARD)
        block.fill(b"\xcd")
        self.blocks[block.address] = block
        return real.cast("char *", block.address)

    def _release(self, pointer: object) -> None:
        block = self.blocks[address_of(pointer)]
        user = self._in_use(block.address, block.size)
        if user:
            # Finalizers run in any order.  This one, which the real memory does not have, may run
            # before that of the task, which abandons the operation and so keeps its memory.
            self._perhaps_freed.append((block, user))
        else:
            self._reuse(block)

    def _reuse(self, block: Block) -> None:
        self.blocks.pop(block.address)
        self._check_guards(block)
        block.fill(b"\xdd")
        self._free[block.size].append(block)

    def _check_guards(self, block: Block) -> None:
        if block.guards() != b"\xfa" * (2 * GUARD):
            self._complain(f"something wrote outside a block of {block.size} bytes")

    def check(self) -> None:
        while self._perhaps_freed:
            block, user = self._perhaps_freed.pop()
            if not _is_abandoned(block.address):
                self._complain(f"memory was freed that {user}")
                self._reuse(block)
        for block in self.blocks.values():
            self._check_guards(block)

    def export(self, *arguments: Any, require_writable: bool = False) -> Any:
        *declaration, buffer = arguments
        cdata = real.from_buffer(*declaration, buffer, require_writable=require_writable)
        self.exports[id(cdata)] = Export(address_of(cdata), memoryview(buffer).nbytes, buffer)
        weakref.finalize(cdata, self._lose, id(cdata)).atexit = False
        return cdata

    def _lose(self, key: int) -> None:
        # The finalizer of a coroutine that is garbage, too, may still abandon its operation.
        export = self.exports.pop(key, None)
        if export is not None and isinstance(export.buffer, bytearray):
            self._perhaps_lost.append(export)

    def release(self, cdata: Any) -> None:
        if export := self.exports.pop(id(cdata), None):
            user = self._in_use(export.address, export.size)
            if user:
                self._complain(f"a buffer was released that {user}")
        real.release(cdata)

    def share(self, area: Any) -> None:
        """Allow several receives to write to an area at the same time."""
        self._shared = Block(area, address_of(area), real.sizeof(area))

    def is_shared(self, address: int) -> bool:
        shared = self._shared
        return shared is not None and 0 <= address - shared.address < shared.size

    def holder(self, address: int, nbytes: int) -> Block | Export | None:
        """Find the live memory that contains these addresses."""
        self._perhaps_lost = [each for each in self._perhaps_lost if not each.can_move()]
        holders: list[Block | Export] = [*self.blocks.values(), *self.exports.values()]
        holders += self._perhaps_lost
        if self._shared is not None:
            holders.append(self._shared)
        for holder in holders:
            if holder.address <= address and address + nbytes <= holder.address + holder.size:
                return holder
        return None

    def fault(self, address: int, nbytes: int) -> str | None:
        """Say what is wrong with memory that the kernel is about to use, or return None."""
        holder = self.holder(address, nbytes)
        if holder is None:
            return "is not, or no longer, memory of the package or an exported buffer"
        if isinstance(holder, Export) and holder.can_move():
            return "belongs to a buffer that can be resized"
        return None


class WatchedFfi:
    """The package's cffi object, with memory functions that use a `Memory`."""

    def __init__(self, memory: Memory) -> None:
        self.new = memory.new
        self.release = memory.release
        self.from_buffer = memory.export

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)
