"""The receive memory that one `trio.run` lends to its sockets.

The kernel locks the buffer of a pending receive into physical memory until data comes, page by
page, and each page costs time whether data fills it or not.  So a receive is as large as its flow
needs.  The first one has `MIN_RECEIVE_SIZE` bytes, which belong to its operation.  A receive that
is filled makes the next one larger.  Several in a row that would have fitted into the next smaller
size make it smaller again.

Larger memory is lent by the run, `MOST_LENT` bytes in all.  When all of it is lent, the receive
that has waited longest gives its memory back: it is cancelled, and repeated with `MIN_RECEIVE_SIZE`
bytes.  So the memory that waits is bounded, however many connections there are, without a timer and
without a scan of the connections.

A heap may return free memory at its end to the system, and then each page of the next result costs
a page fault.  So the first block of a run is allocated behind free space for results, and keeps
that space from being the end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import trio

from .._winsock.calls import ffi
from .._winsock.operation import MIN_RECEIVE_SIZE

if TYPE_CHECKING:
    from .._winsock.operation import Operation

#: The sizes of a receive that makes bytes of a stream.
SIZES: Final = (MIN_RECEIVE_SIZE, 16 * 1024, 256 * 1024)
#: The largest of them.
MAX_RECEIVE_SIZE: Final = SIZES[-1]
_MEDIUM: Final = SIZES[1]

#: The most bytes that a run lends.
MOST_LENT: Final = 8 * 1024 * 1024

# How many large results there is free space for: the one that a flow has, the next one, and as many
# for another flow.
_RESULTS: Final = 4

# How many receives in a row that needed less make the next one smaller.
_ENOUGH_SMALL: Final = 4

_LARGER: Final = dict(zip(SIZES, (*SIZES[1:], SIZES[-1]), strict=True))
_SMALLER: Final = dict(zip(SIZES, (0, *SIZES[:-1]), strict=True))

_allocate = ffi.new_allocator(should_clear_after_alloc=False)


def next_size(size: int, offered: int, nbytes: int, small: int) -> tuple[int, int]:
    """Return how large the next receive of a stream is.

    Args:
      size: the size of the last one, one of `SIZES`.
      offered: the size it was submitted with: less if the program asked for less.
      nbytes: how many bytes it received.
      small: how many receives in a row before it did not fill the next smaller size.

    Returns:
      The next size, and the next value of ``small``.
    """
    if nbytes == offered:
        return (_LARGER[size] if offered == size else size), 0
    if nbytes >= _SMALLER[size]:
        return size, 0
    if small + 1 < _ENOUGH_SMALL:
        return size, small + 1
    return _SMALLER[size], 0


class _Here(threading.local):
    # Reading a run variable of Trio instead would take several calls at each receive.
    run: Run | None = None


class Run(trio.abc.Instrument):
    """What all sockets of one `trio.run` share.

    As an instrument it is told when the run ends, also by a crash.

    Attributes:
      over: whether the run has ended.
      made: the bytes in all blocks, lent or free: at most `MOST_LENT`.
      waiting: the operations that wait with a block, the one that has waited longest first.
    """

    def __init__(self) -> None:
        self.over: bool = False
        self.made: int = 0
        self.waiting: dict[Operation, None] = {}
        self._free: dict[int, list[Any]] = {size: [] for size in SIZES[1:]}

    @staticmethod
    def current() -> Run:
        """Return what the sockets of the current run share."""
        if here.run is None:
            run = Run()
            trio.lowlevel.add_instrument(run)
            here.run = run
        return here.run

    def after_run(self) -> None:
        self.over = True
        here.run = None

    def lend(self, nbytes: int, *, ask: bool) -> Any:
        """Lend a block of memory; return None if all is lent, or the system has none.

        Args:
          nbytes: the least size of the block.
          ask: whether to cancel the receive that has waited longest if all is lent.
        """
        size = _MEDIUM if nbytes <= _MEDIUM else MAX_RECEIVE_SIZE
        free = self._free[size]
        if free:
            return free.pop()
        if self.made + size > MOST_LENT:
            self._drop_free_blocks()
        if self.made + size > MOST_LENT:
            if ask:
                self._ask_for_one_back()
            return None
        try:
            space = [] if self.made else [bytes(MAX_RECEIVE_SIZE) for _ in range(_RESULTS)]
            block = _allocate("char[]", size)
        except MemoryError:
            return None
        del space
        self.made += size
        return block

    def take_back(self, block: Any) -> None:
        """Take back a block that was lent."""
        self._free[len(block)].append(block)

    def forget(self, block: Any) -> None:
        """Stop counting a block, which stays with whoever has it."""
        self.made -= len(block)

    def _drop_free_blocks(self) -> None:
        for size, free in self._free.items():
            self.made -= size * len(free)
            free.clear()

    def _ask_for_one_back(self) -> None:
        for operation in self.waiting:
            del self.waiting[operation]
            operation.cancel()
            return


#: The run of this thread, once a socket has been received on in it.
here: Final = _Here()
