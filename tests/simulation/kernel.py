"""The kernel's books: which handle stands for what, and which receives are on their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trio_wsarecv._codes import WinsockError

from .errors import windows_error
from .memory import Memory
from .port import Packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from .behaviour import Behaviour
    from .endpoint import Endpoint
    from .request import Request, Result

FIRST_HANDLE = 0x7000_0004


@dataclass(frozen=True)
class Event:
    """Something that went over the boundary, for a test to look back at."""

    what: str
    handle: int
    address: int = 0


class Kernel:
    """The state behind Winsock.

    Attributes:
      complaints: what the package did that would be the end of it on Windows.
      log: what it did at all.
      outstanding: by the address of its ``OVERLAPPED``, each receive whose packet nobody has
          dequeued; until then the address must serve nothing else.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.complaints: list[str] = []
        self.log: list[Event] = []
        self.memory = Memory(self.complaints.append, self._user_of)
        self.outstanding: dict[int, Request] = {}
        self.endpoints: list[Endpoint] = []
        self._handles: dict[int, Endpoint] = {}
        self._free: list[int] = []
        self.wake_readers: Callable[[], None] = lambda: None

    def complain(self, what: str) -> None:
        self.complaints.append(what)

    def error(self, code: int) -> OSError:
        return windows_error(code)

    def open_handle(self, endpoint: Endpoint) -> int:
        """Give out a handle: the one that was closed last, if there is one."""
        if endpoint not in self.endpoints:
            self.endpoints.append(endpoint)
        next_one = FIRST_HANDLE + 4 * len(self._handles)
        handle = self._free.pop() if self._free else next_one
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
        """Take a receive on; its packet will come."""
        if request.address in self.outstanding:
            self.complain("a receive was submitted at an address whose packet is still to come")
        if request.overlapped.hEvent:
            self.complain("a receive was submitted with an event")
        self.outstanding[request.address] = request
        request.begin()

    def finish(self, request: Request, result: Result) -> None:
        """Write the result of a receive, and post its packet."""
        for fault in request.faults(self.memory):
            self.complain(fault)
        if self.memory.holder(request.address, 1) is None:
            return  # the address of nothing: writing there would end this process
        if request.disturbed():
            self.complain("what the kernel had of a receive was written to meanwhile")
        request.write(result)
        request.endpoint.post(Packet(request.address))

    def dequeued(self, address: int) -> None:
        """Hear that the packet of a receive has been taken off its port."""
        request = self.outstanding.pop(address, None)
        if request is None or not request.done:
            self.complain("a packet came without a receive behind it")
        else:
            self.log.append(Event("dequeue", request.handle, address))

    def settle(self) -> None:
        for endpoint in self.endpoints:
            endpoint.settle()

    def _user_of(self, address: int, size: int) -> str | None:
        for request in self.outstanding.values():
            if request.overlaps(address, size):
                state = "whose packet is still to come" if request.done else "in the kernel"
                return f"belongs to a receive {state}"
        return None
