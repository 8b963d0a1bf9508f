"""Conversations with peers, what came of them, and the resources that the process holds."""

from __future__ import annotations

import gc
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import psutil
import trio

import trio_wsarecv
from trio_wsarecv._winsock.operation import Operation, State

PATIENCE = 5.0  # seconds that the system may take to free what was closed
MEMORY = 16 << 20  # bytes by which memory may grow without being called a leak
SHOWN = 20  # failures, at the most
CLOSED = 0.1  # the share of conversations that another task closes
CLOSES, CANCELLED = "closed by another task", "cancelled receives"

if sys.platform == "win32":
    import ctypes

    def count_handles() -> int:
        if known := psutil.Process().num_handles():
            return known
        # Wine 8.0 does not tell.  Windows uses low handle values first.
        is_open = ctypes.windll.kernel32.GetHandleInformation
        flags = ctypes.byref(ctypes.c_ulong())
        return sum(bool(is_open(ctypes.c_void_p(value), flags)) for value in range(4, 1 << 16, 4))

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


class Account:
    """Results of all conversations, in bytes or in datagrams."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.checked = 0  # received as they were sent
        self.lost = 0  # sent and never received
        self.active: set[Conversation] = set()
        self.counts: Counter[str] = Counter()  # what was done to them, and how often
        self.failures: list[str] = []
        self.before: dict[str, int] = {}  # what the process held after warming up

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

    def report(self, kinds: Iterable[str]) -> int:
        """Print the report, and return the exit status; all kinds of peers must have been met."""
        failures = self.failures + self.growth()
        wanted = (*kinds, CLOSES, CANCELLED)
        failures += [f"nothing was done of: {name}" for name in wanted if not self.counts[name]]
        for title, numbers in (
            ("what was done", dict(sorted(self.counts.items()))),
            ("receives", asdict(trio_wsarecv.statistics())),
            ("held before", self.before),
            ("held after", held()),
        ):
            print(f"{title}:")
            for name, number in numbers.items():
                print(f"  {number:13,} {name}")
        print(f"{self.unit} checked: {self.checked:,}")
        print(f"{self.unit} lost: {self.lost:,}")
        for failure in failures[:SHOWN]:
            print("FAILURE:", failure)
        if failures[SHOWN:]:
            print(f"and {len(failures) - SHOWN} more")
        return 1 if failures or self.lost or not self.checked else 0


class Conversation:
    """What one peer sends to one socket: so many bytes or datagrams."""

    nursery: trio.Nursery

    def __init__(self, account: Account, rng: random.Random, kind: str, size: int) -> None:
        self.account = account
        self.rng = rng
        self.kind = kind
        self.size = size
        self.received = 0
        self.doing = "nothing yet"
        self.scope = trio.CancelScope()  # of a receive
        self.is_closed = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.received} of {self.size} received, last by {self.doing}"

    async def receive_all(self) -> None:
        """Receive to the end, and count; raise ValueError if it is not what was sent."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def may_fail(self, error: Exception) -> bool:
        """Return whether a receive may fail so, apart from a close by another task."""
        return False

    async def close_in(self, seconds: float) -> None:
        await trio.sleep(self.rng.expovariate(1 / seconds))
        self.is_closed = True
        self.account.counts[CLOSES] += 1
        await self.close()

    async def run(self, patience: float) -> None:
        """Receive all, unless another task closes the socket after so many seconds on average."""
        account = self.account
        account.counts[self.kind] += 1
        account.active.add(self)
        try:
            async with trio.open_nursery() as self.nursery:
                if self.rng.random() < CLOSED:
                    self.nursery.start_soon(self.close_in, patience)
                try:
                    await self.receive_all()
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                    if not (self.is_closed or self.may_fail(exc)):
                        account.failures.append(f"{self}: {exc!r}")
                except ValueError as exc:
                    account.failures.append(f"{self}: {exc}")
                self.nursery.cancel_scope.cancel()
        finally:
            account.active.remove(self)
            account.checked += self.received
            if not self.is_closed and self.received < self.size:
                account.lost += self.size - self.received
                account.failures.append(f"{self}: the rest is missing")
