"""What a process holds: handles, memory, and buffers that the kernel may write to."""

from __future__ import annotations

import gc
import sys
import time
from dataclasses import dataclass

import psutil

from trio_wsarecv._winsock.operation import Operation, State

if sys.platform == "win32":
    import ctypes

    #: Handle values that are looked at; Windows gives out low ones first.
    VALUES = range(4, 1 << 16, 4)

    def count_handles() -> int:
        """Count the handles of this process."""
        known = psutil.Process().num_handles()
        if known:
            return known
        # Wine 8.0 does not know.
        is_open = ctypes.windll.kernel32.GetHandleInformation
        flags = ctypes.byref(ctypes.c_ulong())
        return sum(bool(is_open(ctypes.c_void_p(value), flags)) for value in VALUES)

else:

    def count_handles() -> int:
        """Count the file descriptors of this process."""
        return psutil.Process().num_fds()


#: Seconds that the system may take to let go of what was closed.
PATIENCE = 5.0
#: What memory may grow by without being called a leak, in bytes.
MEMORY = 16 << 20


@dataclass(frozen=True)
class Resources:
    """What a process holds.

    Attributes:
      handles: handles on Windows, file descriptors elsewhere.
      memory: bytes of physical memory.
      operations: operations that exist.
      exports: buffers that operations export.
      abandoned: operations whose packet nobody waits for.
    """

    handles: int
    memory: int
    operations: int
    exports: int
    abandoned: int

    def __str__(self) -> str:
        return (
            f"{self.handles} handles, {self.memory / 1e6:.1f} MB, {self.operations} operations, "
            f"{self.exports} buffers exported, {self.abandoned} abandoned"
        )

    def growth_since(self, before: Resources) -> list[str]:
        """Say what there is more of than before."""
        grown = [
            f"{name}: {getattr(before, name)} before, {getattr(self, name)} now"
            for name in ("handles", "operations", "exports", "abandoned")
            if getattr(self, name) > getattr(before, name)
        ]
        if self.memory > before.memory + MEMORY:
            grown.append(f"memory: {(self.memory - before.memory) / 1e6:.1f} MB more")
        return grown


def held() -> Resources:
    """Tell what this process holds now."""
    gc.collect()
    operations = [thing for thing in gc.get_objects() if isinstance(thing, Operation)]
    return Resources(
        count_handles(),
        psutil.Process().memory_info().rss,
        len(operations),
        sum(len(operation.exports) for operation in operations),
        sum(operation.state is State.ABANDONED for operation in operations),
    )


def held_once_settled(before: Resources) -> Resources:
    """Tell what this process holds when it holds no more than before, or after some patience."""
    deadline = time.monotonic() + PATIENCE
    while (now := held()).growth_since(before) and time.monotonic() < deadline:
        time.sleep(0.2)
    return now
