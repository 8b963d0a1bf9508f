"""What a soak test has seen, the resources that its process holds, and its final report."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

import trio_wsarecv
from trio_wsarecv._winsock.operation import Operation, State

#: Seconds that the system may take to free what was closed.
PATIENCE = 5.0
#: Bytes by which memory may grow without being called a leak.
MEMORY = 16 << 20
SHOWN = 20
#: The share of connections and conversations that another task closes.
CLOSED = 0.1

if sys.platform == "win32":
    import ctypes

    #: Handle values that are tried; Windows uses low ones first.
    VALUES = range(4, 1 << 16, 4)

    def count_handles() -> int:
        if known := psutil.Process().num_handles():
            return known
        # Wine 8.0 does not tell.
        is_open = ctypes.windll.kernel32.GetHandleInformation
        flags = ctypes.byref(ctypes.c_ulong())
        return sum(bool(is_open(ctypes.c_void_p(value), flags)) for value in VALUES)

    def raise_file_limit() -> None:
        pass

else:
    import resource

    def count_handles() -> int:
        return psutil.Process().num_fds()

    def raise_file_limit() -> None:
        """Allow as many connections as the system does."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def held() -> dict[str, int]:
    """Return the resources that this process holds."""
    gc.collect()
    operations = [thing for thing in gc.get_objects() if isinstance(thing, Operation)]
    return {
        "bytes of memory": psutil.Process().memory_info().rss,
        "handles": count_handles(),
        "operations": len(operations),
        "exported buffers": sum(len(operation.exports) for operation in operations),
        "abandoned operations": sum(each.state is State.ABANDONED for each in operations),
    }


@dataclass
class Account:
    """Results of all connections, or of all conversations.

    Attributes:
      what: what is checked, in the plural: bytes or datagrams.
      checked: how many of them were received as they were sent.
      lost: those that were sent and never received.
      active: the connections that are open.
      faults: what was done to them, and how often.
      failures: descriptions of everything that went wrong.
      before: what the process held after warming up.
    """

    what: str
    checked: int = 0
    lost: int = 0
    active: set[Any] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)

    def growth(self) -> list[str]:
        """Describe what this process still holds more of than before, after some seconds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            more = {name: now - self.before[name] for name, now in held().items()}
            more["bytes of memory"] -= MEMORY
            grown = [f"holds {number:,} more {name}" for name, number in more.items() if number > 0]
            if not grown or time.monotonic() > deadline:
                return grown
            time.sleep(0.2)

    def report(self, wanted: Iterable[str]) -> int:
        """Print the report, and return the exit status; the wanted faults must have occurred."""
        failures = self.failures + self.growth()
        failures += [f"nothing was done of: {name}" for name in wanted if not self.faults[name]]
        for title, numbers in (
            ("what was done", dict(sorted(self.faults.items()))),
            ("receives", asdict(trio_wsarecv.statistics())),
            ("held before", self.before),
            ("held after", held()),
        ):
            print(f"{title}:")
            for name, number in numbers.items():
                print(f"  {number:13,} {name}")
        print(f"{self.what} checked: {self.checked:,}")
        print(f"{self.what} lost: {self.lost:,}")
        for failure in failures[:SHOWN]:
            print("FAILURE:", failure)
        if failures[SHOWN:]:
            print(f"and {len(failures) - SHOWN} more")
        return 1 if failures or self.lost or not self.checked else 0
