"""A completion port, which is a queue of packets, and what is associated with it.

A socket belongs to one port for life, whichever of its handles it was associated by.  So it is
with skip mode, in which a receive that succeeds inline queues no packet: it cannot be taken back.
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
      dequeued: called with every packet that is taken off, before the packet is handed out.
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


class Associable:
    """What can be associated with a completion port, even one that no longer exists.

    Attributes:
      key: what the packets carry.
      skips_on_success: whether a receive that succeeds inline queues no packet.
      registered_with: the port with which the package has associated this, else None.
    """

    def __init__(self) -> None:
        self._port: weakref.ref[PacketQueue] | None = None
        self.key: object = None
        self.skips_on_success = False
        self.registered_with: weakref.ref[PacketQueue] | None = None

    @property
    def is_associated(self) -> bool:
        return self._port is not None

    def associate(self, port: PacketQueue, key: object) -> None:
        """Have the packets go to a port from here on, for as long as that exists."""
        self._port = weakref.ref(port)
        self.key = key

    def gets_packet(self, *, inline: bool) -> bool:
        """Tell whether a receive that has completed queues a packet."""
        return self.is_associated and not (inline and self.skips_on_success)

    def post(self, address: int) -> None:
        port = self._port() if self._port else None
        if port is not None:
            port.post(Packet(address, self.key))
