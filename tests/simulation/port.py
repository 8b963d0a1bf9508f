"""The completion port of a `trio.run`, and the part of Trio that reads it.

This follows Trio's ``_io_windows.py``: a waiting task is entered under the address of its
``OVERLAPPED`` when it begins to wait, a packet goes to the task under its address, and a packet
without a task ends the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import outcome
import trio


class PacketQueue:
    """A completion port.  A packet is the address of its ``OVERLAPPED``.

    Args:
      dequeued: called with every packet that is dequeued, before it is returned.
    """

    def __init__(self, dequeued: Callable[[int], None]) -> None:
        self.queue: deque[int] = deque()
        self._dequeued = dequeued

    def post(self, address: int) -> None:
        self.queue.append(address)

    def dequeue(self) -> int | None:
        """Take one packet, as ``GetQueuedCompletionStatus``; None if there is none."""
        if not self.queue:
            return None
        address = self.queue.popleft()
        self._dequeued(address)
        return address


class Port(PacketQueue):
    """The completion port of one `trio.run`.

    Args:
      dequeued: as for `PacketQueue`.
      posted: called after every packet that is posted.
    """

    def __init__(self, dequeued: Callable[[int], None], posted: Callable[[], None]) -> None:
        super().__init__(dequeued)
        self.waiters: dict[int, trio.lowlevel.Task] = {}
        self._posted = posted

    def post(self, address: int) -> None:
        super().post(address)
        self._posted()

    def dispatch(self) -> None:
        """Dequeue one packet and reschedule the task that waits for it.

        Raises:
          trio.TrioInternalError: the run ends, as it would in Trio.
        """
        address = self.dequeue()
        assert address is not None
        waiter = self.waiters.pop(address, None)
        if waiter is None:
            raise trio.TrioInternalError("a packet that no task waits for")
        trio.lowlevel.reschedule(waiter, outcome.Value(address))

    async def wait(self, address: int) -> object:
        """Wait for a packet.  The package has an abort function of its own, so this has none."""
        if address in self.waiters:
            raise trio.BusyResourceError("another task is already waiting on that lpOverlapped")
        self.waiters[address] = trio.lowlevel.current_task()
        return await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
