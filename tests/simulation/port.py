"""The completion port of a `trio.run`, and the part of Trio that reads it.

This follows Trio's ``_io_windows.py``: a waiting task is entered under the address of its
``OVERLAPPED`` when it begins to wait, a packet goes to the task under its address, and a packet
without a task ends the run.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import outcome
import trio

from .packets import Packet, PacketQueue


class Key(enum.Enum):
    """What a packet is about."""

    WAIT_OVERLAPPED = enum.auto()
    LATE_CANCEL = enum.auto()


class Port(PacketQueue):
    """The completion port of one `trio.run`.

    Args:
      dequeued: as for `PacketQueue`.
      posted: called after every packet that is posted.
    """

    def __init__(self, dequeued: Callable[[Packet], None], posted: Callable[[], None]) -> None:
        super().__init__(dequeued)
        self.waiters: dict[int, trio.lowlevel.Task] = {}
        self._posted = posted

    def post(self, packet: Packet) -> None:
        super().post(packet)
        self._posted()

    def dispatch(self) -> None:
        """Dequeue one packet and reschedule the task that waits for it.

        Raises:
          trio.TrioInternalError: the run ends, as it would in Trio.
        """
        packet = self.dequeue()
        assert packet is not None
        waiter = self.waiters.pop(packet.address, None)
        if packet.key is Key.WAIT_OVERLAPPED:
            if waiter is None:
                raise trio.TrioInternalError("a packet that no task waits for")
            trio.lowlevel.reschedule(waiter, outcome.Value(packet.address))
        elif waiter is not None:
            raise trio.TrioInternalError(
                f"failed to cancel overlapped I/O in {waiter.name} "
                "and didn't receive the completion either"
            )

    async def wait(self, address: int, cancel_io: Callable[[], bool]) -> object:
        """Wait for a packet, with the abort function of `trio.lowlevel.wait_overlapped`."""
        if address in self.waiters:
            raise trio.BusyResourceError("another task is already waiting on that lpOverlapped")
        self.waiters[address] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            if not cancel_io():
                self.post(Packet(address, Key.LATE_CANCEL))
            return trio.lowlevel.Abort.FAILED

        return await trio.lowlevel.wait_task_rescheduled(abort)
