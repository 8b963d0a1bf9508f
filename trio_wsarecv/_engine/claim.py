"""Who receives on a socket: one task at a time.

The kernel has at most one operation of a socket at a time.  Of several it would fill the buffers in
the order of submission, but when one is cancelled it may abort them all.

Trio refuses a second receiver while another task waits, and only then.  The same holds here: a
receiver is refused while another task's receive waits in the kernel and has not been cancelled.
Once it has been, or has completed, the packet is in the completion port or on the way, and a
receiver that comes then waits for its turn.  That wait cannot be cancelled: data that has arrived
is received, however short the deadline, as it would be without the other receiver.

A receiver that comes after the other receive has completed, but before its packet has been
dequeued, gets what is left.  If nothing is left it is refused: in Trio, too, it would never wait
beside the other one.
"""

from __future__ import annotations

import weakref
from typing import TypeAlias

import outcome
import trio

from . import port

Line: TypeAlias = "dict[trio.lowlevel.Task, int | None]"


class Claim:
    """The right to receive on a socket, in one `trio.run`.

    Attributes:
      taken: whether a task has it.
      line: the tasks that wait for their turn, in order.  For a task that came while a receive
        waited for data, how many ends had been requested by then; else None.
    """

    __slots__ = ("_asleep", "_ends", "_given_to", "line", "taken")

    def __init__(self) -> None:
        self.taken: bool = False
        self._ends = 0  # how often the end of a receive has been requested
        # The task in line that was given the claim, until it runs.
        self._given_to: trio.lowlevel.Task | None = None
        # A strong reference would keep the tasks of a crashed run from ever being finalized.
        self._asleep: weakref.ref[trio.lowlevel.Task] | None = None
        # A task near the recursion limit can leave a dict: that takes no frame and no comparison.
        # Most sockets never need one.
        self.line: Line | None = None

    def is_waiting(self) -> bool:
        """Return whether its task waits for data, and the end of that has not been requested."""
        task = self._asleep() if self._asleep is not None else None
        # Trio sets this attribute to None when the task is rescheduled.
        return task is not None and task.custom_sleep_data is self

    def waits(self, task: trio.lowlevel.Task) -> None:
        """Note that its task is about to wait for data, and refuse the tasks in line."""
        task.custom_sleep_data = self
        self._asleep = weakref.ref(task)
        if self.line:
            port.with_more_frames(self._refuse)

    def _refuse(self) -> None:
        while self.line:
            task, _ = _pop_first(self.line)
            trio.lowlevel.reschedule(task, outcome.Error(busy_error()))

    def ends(self) -> None:
        """Note that the end of the receive has been requested."""
        self._asleep = None
        self._ends += 1

    async def wait_for_turn(self) -> bool:
        """Take the claim when the task that has it is done.

        Returns:
          Whether the receive may wait for data.  It may not if it came while another one waited.

        Raises:
          trio.BusyResourceError: another task waits for data.
        """
        ends = None
        if self.is_waiting():
            # Its packet may be in the completion port already: let Trio dequeue it.
            ends = self._ends
            await trio.lowlevel.cancel_shielded_checkpoint()
            if self.is_waiting() or self._ends != ends:
                raise busy_error()
        if not self.taken:
            self.taken = True
            return ends is None
        task = trio.lowlevel.current_task()
        if self.line is None:
            self.line = {}
        try:
            self.line[task] = ends
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
            self._given_to = None
            return ends is None
        except BaseException:  # a RecursionError, or of a signal handler
            if task in self.line:
                del self.line[task]
            elif self._given_to is task:
                port.with_more_frames(self.release)
            raise

    def release(self) -> None:
        """Give the claim to the task that has waited longest for its turn.

        A task that came while the receive waited is refused if that receive ended without data.
        """
        self._asleep = self._given_to = None
        self.taken = False
        while self.line and not self.taken:
            task, ends = _pop_first(self.line)
            self.taken = ends is None or ends == self._ends
            self._given_to = task if self.taken else None
            turn = outcome.Value(None) if self.taken else outcome.Error(busy_error())
            trio.lowlevel.reschedule(task, turn)


def _pop_first(line: Line) -> tuple[trio.lowlevel.Task, int | None]:
    task = next(iter(line))
    return task, line.pop(task)


def busy_error() -> trio.BusyResourceError:
    """Return the error of a second receiver."""
    return trio.BusyResourceError("another task is receiving on this socket")
