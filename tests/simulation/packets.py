"""A completion port: a queue of packets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Packet:
    """A completion packet.

    Attributes:
      address: of the ``OVERLAPPED``.
      key: what the handle was associated with.
    """

    address: int
    key: object


class PacketQueue:
    """A completion port.

    Args:
      dequeued: called with every packet that is dequeued, before it is returned.
    """

    def __init__(self, dequeued: Callable[[Packet], None]) -> None:
        self.queue: deque[Packet] = deque()
        self._dequeued = dequeued

    def post(self, packet: Packet) -> None:
        self.queue.append(packet)

    def dequeue(self) -> Packet | None:
        """Take one packet, as ``GetQueuedCompletionStatus``; None if there is none."""
        if not self.queue:
            return None
        packet = self.queue.popleft()
        self._dequeued(packet)
        return packet
