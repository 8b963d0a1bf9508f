"""How fast the memory of this machine is at the moment.

Floods copy memory and touch pages that are new to a process.  On a virtual machine, the cost of
both differs from one hour to the next, and with it the figures of floods.  So every run says what
it was, before and after.
"""

from __future__ import annotations

import mmap
import time
from dataclasses import dataclass
from typing import Final

_SIZE: Final = 32 << 20
_ROUNDS: Final = 5


@dataclass(frozen=True)
class MemorySpeed:
    """What memory takes.

    Attributes:
      copy: GiB copied per second.
      page: microseconds for a page that is new to the process.
    """

    copy: float
    page: float

    def __str__(self) -> str:
        return f"copies {self.copy:.1f} GiB/s, {self.page:.2f} µs for a new page"


def measure() -> MemorySpeed:
    """Measure it in a few short rounds, of which the best has been disturbed least."""
    copies, pages = zip(*(_round() for _ in range(_ROUNDS)), strict=True)
    return MemorySpeed(max(copies), min(pages))


def _round() -> tuple[float, float]:
    count = _SIZE // mmap.PAGESIZE
    with mmap.mmap(-1, _SIZE) as new, memoryview(new) as view:
        begin = time.perf_counter()
        for offset in range(0, _SIZE, mmap.PAGESIZE):
            new[offset] = 1
        touched = time.perf_counter()
        for offset in range(0, _SIZE, mmap.PAGESIZE):
            new[offset] = 1
        again = time.perf_counter()
        half = _SIZE // 2
        view[:half] = view[half:]
        copied = time.perf_counter()
    page = 1e6 * (2 * touched - begin - again) / count  # without what the loop itself takes
    return half / (1 << 30) / (copied - again), page
