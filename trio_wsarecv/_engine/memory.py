"""The large receive memory of one `trio.run`.

What is posted to the kernel is locked into physical memory until data comes, so a connection that
is quiet must not hold much.  Large blocks belong to the run.  A flow that has data waiting borrows
one for a receive that completes inline, and gives it back when the bytes have been copied out.  So
a run rarely needs more than one, however many connections there are.
"""

from __future__ import annotations

from typing import Any, Final

from .._winsock.calls import ffi

#: The size of a block, and so the most bytes that a receive which makes bytes asks for.
MAX_RECEIVE_SIZE: Final = 256 * 1024

# The most blocks of a run, 16 MiB in all.
_MOST_BLOCKS: Final = 64

# How many large results a flow has at a time, that of the last receive included, and some spare.
_MOST_RESULTS: Final = 4

_allocate = ffi.new_allocator(should_clear_after_alloc=False)


class Run:
    """What all sockets of one `trio.run` share.

    Attributes:
      free: the blocks of `MAX_RECEIVE_SIZE` bytes that nobody has borrowed.
    """

    def __init__(self) -> None:
        self.free: list[Any] = []
        self._made = 0

    def new_block(self) -> Any:
        """Make another block; None if the run has as many as it may have, or memory is short."""
        if self._made == _MOST_BLOCKS:
            return None
        # A heap may return free memory at its end to the system, and each page costs a fault when
        # it is used again.  So the first block lies behind room for the results of receives.
        try:
            room = [] if self._made else [bytes(MAX_RECEIVE_SIZE) for _ in range(_MOST_RESULTS)]
            block = _allocate("char[]", MAX_RECEIVE_SIZE)
        except MemoryError:
            return None
        del room
        self._made += 1
        return block


#: Stands for no run at all.
NO_RUN: Final = Run()
