"""What a soak test has seen, the resources that its process holds, and its final report."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import psutil

import trio_wsarecv
from trio_wsarecv._winsock.operation import Operation, State

#: Seconds that the system may take to free what was closed.
PATIENCE = 5.0
#: Bytes by which memory may grow without being called a leak.
MEMORY = 16 << 20
SHOWN = 20

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


@dataclass
class Account:
    """Results of all connections or conversations.

    Attributes:
      opened: how many there were.
      active: those that are open.
      faults: what was done to them, and how often.
      checked: bytes or datagrams that were received as they were sent.
      lost: those that were sent and never received.
      failures: descriptions of everything that went wrong.
    """

    opened: int = 0
    active: set[Any] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    lost: int = 0
    failures: list[str] = field(default_factory=list)


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


def growth(before: dict[str, int]) -> list[str]:
    """Describe what this process still holds more of than before, after some seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        more = {name: now - before[name] for name, now in held().items()}
        more["bytes of memory"] -= MEMORY
        grown = [f"holds {number:,} more {name}" for name, number in more.items() if number > 0]
        if not grown or time.monotonic() > deadline:
            return grown
        time.sleep(0.2)


def report(account: Account, before: dict[str, int], what: str, wanted: Iterable[str]) -> int:
    """Print the report, and return the exit status.

    Args:
      account: the results.
      before: what the process held before.
      what: what was checked, in the plural.
      wanted: the faults that must have occurred.
    """
    failures = account.failures + growth(before)
    failures += [f"nothing was done of: {name}" for name in wanted if not account.faults[name]]
    print("what was done:")
    for name, number in sorted(account.faults.items()):
        print(f"  {number:9,} {name}")
    print("receives:")
    statistics = trio_wsarecv.statistics()
    for each in fields(statistics):
        print(f"  {getattr(statistics, each.name):9,} {each.name}")
    for when, amounts in (("before", before), ("after", held())):
        print(f"held {when}:", ", ".join(f"{number:,} {name}" for name, number in amounts.items()))
    print(f"{what} checked: {account.checked:,}")
    print(f"{what} lost: {account.lost:,}")
    for failure in failures[:SHOWN]:
        print("FAILURE:", failure)
    if failures[SHOWN:]:
        print(f"and {len(failures) - SHOWN} more")
    return 1 if failures or account.lost or not account.checked else 0
