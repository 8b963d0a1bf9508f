"""Who receives on a socket: one task at a time.

The kernel has at most one operation of a socket: it would fill the buffers of several in the order
of their submission, but it gives up all of them when one is cancelled.

In Trio a second receiver is refused while another task waits, and only then.  So it is here, while
the other's receive waits in the kernel and nobody has asked for its end.  Otherwise that receive is
as good as over: its packet is in the completion port, or on the way.  A receiver that comes
meanwhile waits for its turn, which it may then get at once.  It cannot be cancelled there: data
that has arrived is received, however short the deadline, as it would be without the other receiver.

One that comes while the other's packet is on the way, but not dequeued, is served with what has
arrived, and refused if that was all: in Trio, too, it would never wait beside the other.
"""

from __future__ import annotations

import weakref
from collections import deque

import outcome
import trio


class Claim:
    """The right to receive on a socket, in one `trio.run`.

    Attributes:
      taken: whether a task has it.
      line: the tasks that wait for their turn, once there has been one.  Each that came while a
        receive waited for data has with it how often the end of one had been asked for by then.
    """

    __slots__ = ("_asleep", "_ends", "line", "taken")

    def __init__(self) -> None:
        self.taken: bool = False
        self._ends = 0  # how often somebody has asked for the end of a receive
        # A strong reference would keep the tasks of a crashed run from ever being finalized.
        self._asleep: weakref.ref[trio.lowlevel.Task] | None = None
        self.line: deque[tuple[trio.lowlevel.Task, int | None]] | None = None

    def is_waiting(self) -> bool:
        """Tell whether the task that has it waits for data, and nobody has asked for its end."""
        task = self._asleep() if self._asleep is not None else None
        # Trio sets this attribute to None when the task is rescheduled.
        return task is not None and task.custom_sleep_data is self

    def waits(self, task: trio.lowlevel.Task) -> None:
        """Hear that the task that has it is about to wait for data."""
        task.custom_sleep_data = self
        self._asleep = weakref.ref(task)

    def refuse(self) -> None:
        """Refuse those in line, since the task that has it waits for data."""
        while self.line:
            error = outcome.Error(busy_error())
            trio.lowlevel.reschedule(self.line.popleft()[0], error)

    def ends(self) -> None:
        """Hear that somebody has asked for the end of the receive."""
        self._asleep = None
        self._ends += 1

    async def wait_for_turn(self) -> bool:
        """Take it when the task that has it is done.

        Returns:
          Whether the receive may wait for data: it may not if it came while another one did.

        Raises:
          trio.BusyResourceError: that task waits for data.
        """
        ends = None
        if self.is_waiting():
            # Its packet may be in the port: let Trio look.
            ends = self._ends
            await trio.lowlevel.cancel_shielded_checkpoint()
            if self.is_waiting() or self._ends != ends:
                raise busy_error()
        if not self.taken:
            self.taken = True
            return ends is None
        task = trio.lowlevel.current_task()
        if self.line is None:
            self.line = deque()
        self.line.append((task, ends))
        try:
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        except BaseException:
            self.line = deque(entry for entry in self.line if entry[0] is not task)
            raise
        return ends is None

    def release(self) -> None:
        """Give it to the task that has waited longest for its turn.

        One that came while the receive waited is refused if that was ended without data.
        """
        self._asleep = None
        self.taken = False
        while self.line and not self.taken:
            task, ends = self.line.popleft()
            self.taken = ends is None or ends == self._ends
            turn = outcome.Value(None) if self.taken else outcome.Error(busy_error())
            trio.lowlevel.reschedule(task, turn)


def busy_error() -> trio.BusyResourceError:
    """Return the error of a second receiver."""
    return trio.BusyResourceError("another task is receiving on this socket")
