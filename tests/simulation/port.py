"""Trio's side: the completion port of a `trio.run`, and waiting until a socket is ready.

The port follows Trio's ``_io_windows.py``: a waiting task is entered under the address of its
``OVERLAPPED`` when it begins to wait, a packet goes to the task under its address, and a packet
without a task ends the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import outcome
import trio


class Port:
    """A completion port.  A packet is the address of its ``OVERLAPPED``.

    Args:
      dequeued: called with every packet that is dequeued.
      posted: called after every packet that is posted.
    """

    def __init__(
        self, dequeued: Callable[[int], None], posted: Callable[[], None] = lambda: None
    ) -> None:
        self.queue: deque[int] = deque()
        self._waiters: dict[int, trio.lowlevel.Task] = {}
        self._dequeued = dequeued
        self._posted = posted

    def post(self, address: int) -> None:
        self.queue.append(address)
        self._posted()

    def dequeue(self) -> int | None:
        """Take one packet, as ``GetQueuedCompletionStatus``; None if there is none."""
        if not self.queue:
            return None
        address = self.queue.popleft()
        self._dequeued(address)
        return address

    def dispatch(self) -> None:
        """Dequeue one packet and reschedule the task that waits for it.

        Raises:
          trio.TrioInternalError: the run ends, as it would in Trio.
        """
        address = self.dequeue()
        assert address is not None
        waiter = self._waiters.pop(address, None)
        if waiter is None:
            raise trio.TrioInternalError("a packet that no task waits for")
        trio.lowlevel.reschedule(waiter, outcome.Value(address))

    async def wait(self, address: int) -> object:
        """Wait for a packet.  The package has an abort function of its own, so this has none."""
        if address in self._waiters:
            raise trio.BusyResourceError("another task is already waiting on that lpOverlapped")
        self._waiters[address] = trio.lowlevel.current_task()
        return await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)


class Waiters:
    """The tasks that wait for sockets to become ready.

    Args:
      is_ready: tells whether a socket is.
    """

    def __init__(self, is_ready: Callable[[Any], bool]) -> None:
        self._is_ready = is_ready
        self._of_each_run = trio.lowlevel.RunVar[dict[Any, trio.lowlevel.Task]]("simulated waiters")

    @property
    def _tasks(self) -> dict[Any, trio.lowlevel.Task]:
        if not trio.lowlevel.in_trio_run():
            return {}
        tasks = self._of_each_run.get({})
        self._of_each_run.set(tasks)
        return tasks

    async def wait(self, sock: Any) -> None:
        """Wait until a socket that is not ready becomes so."""
        tasks = self._tasks
        if sock in tasks:
            raise trio.BusyResourceError("another task is already reading / writing this fd")
        tasks[sock] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del tasks[sock]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        for sock in [sock for sock in self._tasks if self._is_ready(sock)]:
            trio.lowlevel.reschedule(self._tasks.pop(sock))

    def notify_closing(self, sock: Any) -> None:
        task = self._tasks.pop(sock, None)
        if task is not None:
            error = trio.ClosedResourceError("another task closed this fd")
            trio.lowlevel.reschedule(task, outcome.Error(error))
