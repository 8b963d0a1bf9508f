"""The state of the kernel: which handle stands for what, and the receives that it has.

A receive that has been accepted queues one packet, unless it completes inline in skip mode, its
event has the low bit set, or its socket has no port.  The data is in the buffers when it
completes; ``Internal`` and ``InternalHigh`` may be written later, when the packet is dequeued.
Until then the kernel has the ``OVERLAPPED``, and its address must not be used for anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .behaviour import Behaviour, InlineIosb, IosbWrite
from .errors import windows_error
from .memory import Memory

if TYPE_CHECKING:
    from .endpoint import Endpoint
    from .packets import Packet
    from .request import Request, Result

FIRST_HANDLE = 0x7000_0004


@dataclass(frozen=True)
class Event:
    """Something that the kernel was asked to do."""

    what: str
    handle: int
    address: int = 0


class Kernel:
    """The state of the kernel.

    Attributes:
      behaviour: its free choices, as the test has set them.
      complaints: what the package did wrong.
      log: what the package did.
      strict: whether to complain of what Windows allows but this package must not do.
      outstanding: by the address of its ``OVERLAPPED``, each receive whose packet has not been
          dequeued.
      wake_readers: called when a socket may have become readable.
      current_port: returns the port of the current `trio.run`, or None.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.complaints: list[str] = []
        self.log: list[Event] = []
        self.strict = True
        self.memory = Memory(self.complaints.append, self._user_of)
        self.outstanding: dict[int, Request] = {}
        self.endpoints: list[Endpoint] = []
        self._handles: dict[int, Endpoint] = {}
        self._received_into: dict[int, Request] = {}
        self._free: list[int] = []
        self.wake_readers: Callable[[], None] = lambda: None
        self.current_port: Callable[[], object] = lambda: None

    @property
    def choices(self) -> Behaviour:
        """The free choices at this moment; a seed draws them each time."""
        return self.behaviour.drawn()

    def complain(self, what: str) -> None:
        self.complaints.append(what)

    def error(self, code: int) -> OSError:
        return windows_error(code)

    def open_handle(self, endpoint: Endpoint) -> int:
        """Return a new handle: the value that was closed last, if there is one."""
        if endpoint not in self.endpoints:
            self.endpoints.append(endpoint)
        handle = self._free.pop() if self._free else FIRST_HANDLE + 4 * len(self._handles)
        self._handles[handle] = endpoint
        endpoint.handles += 1
        return handle

    def close_handle(self, handle: int) -> None:
        endpoint = self._handles.pop(handle, None)
        if endpoint is None:
            self.complain("a handle was closed that is not open")
            raise self.error(WinsockError.WSAENOTSOCK)
        self._free.append(handle)
        self.log.append(Event("close", handle))
        endpoint.handles -= 1
        if not endpoint.handles:
            endpoint.close()

    def endpoint(self, handle: int) -> Endpoint | None:
        return self._handles.get(handle)

    def open_handles(self) -> int:
        return len(self._handles)

    def is_simulated(self, handle: int) -> bool:
        return handle >= FIRST_HANDLE

    def accept(self, request: Request) -> None:
        """Accept a receive."""
        if request.address in self.outstanding:
            self.complain("a receive was submitted at an address whose packet is still to come")
        if request.event and self.strict:
            self.complain("a receive was submitted with an event")
        for address, _ in request.buffers:
            if address in self.memory.blocks:
                other = self._received_into.get(address)
                if other is not None and not other.done:
                    self.complain("two receives were given the same memory")
                self._received_into[address] = request
        self.outstanding[request.address] = request
        request.begin()

    def finish(self, request: Request, result: Result, *, inline: bool = False) -> None:
        """Write what a receive has received, and post its packet.

        Args:
          request: the receive.
          result: how it ends.
          inline: whether it completes inline, so that the call does not report "pending".
        """
        packet = request.endpoint.gets_packet(inline=inline) and not request.event & 1
        if not packet:
            del self.outstanding[request.address]
        for fault in request.faults(self.memory):
            self.complain(fault)
        if self.memory.holder(request.address, 1) is None:
            return  # writing there could crash this process
        if request.disturbed():
            self.complain("the memory of a receive was written to while the kernel had it")
        request.complete(result)
        if self._writes_iosb(request, result, packet=packet, inline=inline):
            request.write_iosb()
        if packet:
            request.endpoint.post(request.address)

    def _writes_iosb(self, request: Request, result: Result, *, packet: bool, inline: bool) -> bool:
        if request.event or not request.endpoint.is_associated:
            return True
        choices = self.choices
        if not inline:
            return not packet or choices.iosb is IosbWrite.AT_COMPLETION
        if result.status == NtStatus.BUFFER_OVERFLOW:
            return choices.overflow_iosb is InlineIosb.WRITTEN
        return choices.inline_iosb is InlineIosb.WRITTEN

    def dequeued(self, packet: Packet) -> None:
        """Write what is written when a packet is dequeued."""
        request = self.outstanding.get(packet.address)
        if request is None or packet.key != request.endpoint.key:
            return  # not the packet of a receive
        del self.outstanding[packet.address]
        self.log.append(Event("dequeue", request.handle, packet.address))
        if not request.done:
            self.complain("a packet was dequeued before its receive had completed")
        elif not request.iosb_written and self.memory.holder(request.address, 1) is not None:
            if request.disturbed():
                self.complain("an OVERLAPPED was written to before its packet was dequeued")
            request.write_iosb()

    def settle(self) -> None:
        for endpoint in self.endpoints:
            endpoint.settle()

    def _user_of(self, address: int, size: int) -> str | None:
        for request in self.outstanding.values():
            if request.overlaps(address, size):
                state = "whose packet is still to come" if request.done else "in the kernel"
                return f"belongs to a receive {state}"
        return None
