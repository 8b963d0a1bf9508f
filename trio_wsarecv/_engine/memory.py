"""The large receive memory of one `trio.run`.

What is posted to the kernel is locked into physical memory until data comes, so a connection that
is quiet must not hold much.  Large blocks belong to the run.  A flow that has data waiting borrows
one for a receive that completes inline, and gives it back when the bytes have been copied out.  So
the run hardly ever needs more than one, however many connections there are.
"""

from __future__ import annotations

from typing import Any, Final

from .._winsock.calls import ffi

#: The size of a block, and so the most bytes that a receive which makes bytes asks for.
MAX_RECEIVE_SIZE: Final = 256 * 1024

# What the blocks of a run may come to: 16 MiB.
_MOST_BLOCKS: Final = 64

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
        """Make another block; None if the run has as many as it may have."""
        if self._made == _MOST_BLOCKS:
            return None
        self._made += 1
        return _allocate("char[]", MAX_RECEIVE_SIZE)


#: Stands for no run at all.
NO_RUN: Final = Run()
