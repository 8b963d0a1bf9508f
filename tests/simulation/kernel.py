"""The kernel: which handle stands for which socket, and the receives that it has.

Several handles may stand for one socket, which ends with the last of them.  It can be associated
with one completion port in its life, and skip mode, once set, stays set.

A receive that fails inline has not run: no packet follows.  Receives that are accepted complete in
the order in which they were submitted, with data, the end of the stream or an error.  One that has
been accepted queues one packet, unless it completes inline in skip mode, its event has the low bit
set, or its socket has no port.  The data is in the buffers when it completes; ``Internal`` and
``InternalHigh`` may be written later, when the packet is dequeued.  Until then the kernel has the
``OVERLAPPED``, and its address must not be used for anything else.
"""

from __future__ import annotations

import socket
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import trio

from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError
from trio_wsarecv._winsock.status import os_error

from .behaviour import Behaviour, CancelAnswer
from .memory import Memory
from .port import Port
from .request import Request, Result
from .sending import Outgoing

FIRST_HANDLE = 0x7000_0004
CANCELLED = Result(NtStatus.CANCELLED)


class ThreadBlocked(Exception):
    """The call blocks the thread until something arrives, and nothing can arrive meanwhile."""


class Event(NamedTuple):
    """Something that the kernel was asked to do."""

    what: str
    handle: int
    address: int = 0


class Kernel:
    """The state of the kernel.

    Attributes:
      complaints: what the package did wrong.
      log: what the package did.
      strict: whether to complain of what Windows allows but this package must not do.
      outstanding: by the address of its ``OVERLAPPED``, each receive whose packet has not been
          dequeued.
      wake_readers: called when a socket may have become readable.
    """

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.complaints: list[str] = []
        self.complain = self.complaints.append
        self.log: list[Event] = []
        self.strict = True
        self.memory = Memory(self.complain, self._user_of)
        self.outstanding: dict[int, Request] = {}
        self.endpoints: list[Endpoint] = []
        self._handles: dict[int, Endpoint] = {}
        self._received_into: dict[int, Request] = {}
        self._free: list[int] = []
        self.wake_readers: Callable[[], None] = lambda: None

    @property
    def choices(self) -> Behaviour:
        """The free choices at this moment; a seed draws them each time."""
        return self.behaviour.drawn()

    def error(self, code: int) -> OSError:
        """Return what the standard library raises for an error of Windows."""
        return os_error(code, f"[simulated] {code}")

    def open_handle(self, endpoint: Endpoint) -> int:
        """Return a new handle: the value that was closed last, if there is one."""
        if endpoint not in self.endpoints:
            self.endpoints.append(endpoint)
        handle = self._free.pop() if self._free else FIRST_HANDLE + 4 * len(self._handles)
        self._handles[handle] = endpoint
        endpoint.handles += 1
        return handle

    def endpoint(self, handle: int) -> Endpoint:
        """Return the socket for which a handle stands."""
        if handle not in self._handles:
            self.complain("a handle was used that is not open")
        return self._handles[handle]

    def close_handle(self, handle: int) -> None:
        endpoint = self.endpoint(handle)
        del self._handles[handle]
        self._free.append(handle)
        self.log.append(Event("close", handle))
        endpoint.handles -= 1
        if not endpoint.handles:
            endpoint.close()

    def accept(self, request: Request) -> None:
        """Accept a receive."""
        if request.address in self.outstanding:
            self.complain("a receive was submitted at an address whose packet is still to come")
        for address, _ in request.buffers:
            if address in self.memory.blocks:
                other = self._received_into.get(address)
                if other is not None and not other.done:
                    self.complain("two receives were given the same memory")
                self._received_into[address] = request
        self.outstanding[request.address] = request
        request.begin()

    def dequeued(self, address: int) -> None:
        """Write what is written when a packet is dequeued."""
        request = self.outstanding.pop(address)
        self.log.append(Event("dequeue", request.handle, address))
        if not request.iosb_written and self.memory.holder(address, 1) is not None:
            if request.disturbed():
                self.complain("an OVERLAPPED was written to before its packet was dequeued")
            request.write_iosb()

    def settle(self) -> None:
        for endpoint in self.endpoints:
            endpoint.settle()

    def _user_of(self, address: int, size: int) -> str | None:
        for request in self.outstanding.values():
            if request.overlaps(address, size):
                return "belongs to a receive that the kernel has"
        return None


class Endpoint(ABC):
    """One socket in the kernel, and what the peer has done to it.

    Attributes:
      ifs_handles: whether the provider's handles are handles of the file system.
      chain_length: how many providers there are, one on top of the other.
      overlapped_io: whether the socket was made for overlapped I/O.
      blocking: whether a call without an ``OVERLAPPED`` waits.
      refusals: the Winsock errors with which the next calls fail inline.
      requests: the receives that the kernel has, in order.
      foreign_handles: how many handles of other processes stand for it.
      is_shut: whether its receiving side has been shut down.
      closed_on_a_receive: whether the last handle was closed while the kernel had a receive.
      taken: by task, what receives have taken out of the kernel; tests pop it.
      peer_saw: how the connection ended for the peer: "end" or "reset".
    """

    kind: socket.SocketKind

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ifs_handles = True
        self.chain_length = 1
        self.overlapped_io = True
        self.blocking = False
        self.refusals: deque[WinsockError] = deque()
        self.requests: list[Request] = []
        self.outgoing = Outgoing(is_stream=self.is_stream)
        self.handles = 0
        self.foreign_handles = 0
        self.skips_on_success = False
        self._port: weakref.ref[Port] | None = None
        self.is_shut = False
        self.peer_saw: str | None = None
        self.closed_on_a_receive = False
        # A reference to a task would keep it alive after its run.
        self.taken = weakref.WeakKeyDictionary[trio.lowlevel.Task, bytes]()

    @property
    def is_associated(self) -> bool:
        return self._port is not None

    def associate(self, port: Port) -> None:
        """Have the packets go to a port, for as long as that exists."""
        self._port = weakref.ref(port)

    @abstractmethod
    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        """Take what a receive gets now; None: it has to wait."""

    @abstractmethod
    def has_data(self) -> bool:
        """Tell whether bytes have arrived that have not been received."""

    @abstractmethod
    def has_news(self) -> bool:
        """Tell whether bytes, the end of the stream or an error has arrived."""

    @abstractmethod
    def refusal(self, flags: MsgFlag) -> WinsockError | None:
        """Return the error of a receive that the state of the socket does not allow."""

    @abstractmethod
    def shutdown(self, how: int) -> None:
        """Shut down one side or both; pending receives stay pending."""

    @property
    def is_stream(self) -> bool:
        return self.kind == socket.SOCK_STREAM

    def is_readable(self) -> bool:
        """Tell whether the socket polls readable."""
        return not self.requests and (self.has_news() or bool(self.refusals))

    def arrived(self) -> None:
        """Process what has come from the peer, unless the kernel is not prompt."""
        if self.kernel.choices.prompt:
            self.settle()
        self.kernel.wake_readers()

    def submit(self, request: Request) -> int:
        """Receive, at once or later; return what the call reports, 0 or an error code."""
        has_overlapped = bool(request.address)
        if not has_overlapped and not self.blocking:
            request.flags &= ~MsgFlag.MSG_WAITALL  # it cannot wait
        if error := self.refusals.popleft() if self.refusals else self.refusal(request.flags):
            return error
        choices = self.kernel.choices
        acts = not self.requests and (choices.prompt or not has_overlapped)
        result = self._take(request) if acts else None
        if result is not None and result.is_error:
            return result.inline_error
        if result is None and not has_overlapped:
            return WinsockError.WSAEWOULDBLOCK
        if result is None and not self.overlapped_io:
            self.kernel.complain("a receive was submitted that blocks the thread")
            raise ThreadBlocked
        if has_overlapped:
            self.kernel.accept(request)
        if result is None:
            self.requests.append(request)
            return WinsockError.WSA_IO_PENDING
        too_long = result.status == NtStatus.BUFFER_OVERFLOW
        pends = choices.always_pends or (too_long and choices.too_long_pends)
        pends = pends and has_overlapped and self.overlapped_io
        self._complete(request, result, inline=not pends)
        return WinsockError.WSA_IO_PENDING if pends else result.inline_error

    def _take(self, request: Request) -> Result | None:
        result = self.take(request.capacity, request.flags)
        if result is None or not request.message or result.status != NtStatus.SUCCESS:
            return result
        fits = len(result.control) <= request.control_size
        if fits or not self.kernel.choices.short_control_overflows:
            return result
        return replace(result, status=NtStatus.BUFFER_OVERFLOW)

    def settle(self) -> None:
        """Finish all receives that can be finished now."""
        for request in tuple(self.requests):
            result = self._result(request)
            if result is not None:
                self._finish(request, result)

    def _result(self, request: Request) -> Result | None:
        if request.answer is None:
            return self._take(request) if request is self.requests[0] else None
        if request.answer is CancelAnswer.COMPLETES:
            return self._take(request) or CANCELLED
        keeps = request.answer is CancelAnswer.ABORTED_WITH_BYTES
        if keeps or request.flags & MsgFlag.MSG_WAITALL:
            return self._what_came(request, NtStatus.CANCELLED)
        return CANCELLED

    def _what_came(self, request: Request, status: int) -> Result:
        # Bytes come with any status; an empty datagram could not be told from nothing.
        flags = request.flags & ~MsgFlag.MSG_WAITALL
        if self.has_data():
            result = self.take(request.capacity, flags | MsgFlag.MSG_PEEK)
            if result and result.data:
                self.take(request.capacity, flags)
                return replace(result, status=status)
        return Result(status)

    def _finish(self, request: Request, result: Result) -> None:
        self.requests.remove(request)
        self._complete(request, result, inline=False)

    def _complete(self, request: Request, result: Result, *, inline: bool) -> None:
        # Writes what a receive has received, and posts its packet.  If it completes inline, the
        # call does not report "pending".
        task = request.task() if request.task else None
        if task is not None and not request.flags & MsgFlag.MSG_PEEK:
            self.taken[task] = self.taken.get(task, b"") + result.data
        if not request.address:
            request.complete(result)
            return
        kernel = self.kernel
        port = self._port() if self._port else None
        packet = self.is_associated and not (
            (inline and self.skips_on_success) or request.event & 1
        )
        if not packet:
            del kernel.outstanding[request.address]
        faults = request.faults()
        kernel.complaints.extend(faults)
        if not faults:  # writing there could crash this process
            if request.disturbed():
                kernel.complain("the memory of a receive was written to while the kernel had it")
            request.complete(result)
            if self._writes_iosb(request, result, packet=packet, inline=inline):
                request.write_iosb()
        if packet and port is not None:
            port.post(request.address)

    def _writes_iosb(self, request: Request, result: Result, *, packet: bool, inline: bool) -> bool:
        if request.event or not self.is_associated:
            return True
        choices = self.kernel.choices
        if not inline:
            return not packet or not choices.late_iosb
        if result.status == NtStatus.BUFFER_OVERFLOW:
            return choices.overflow_iosb
        return choices.inline_iosb

    def end(self, status: int, data: bytes = b"") -> None:
        """End the oldest receive with this status and these bytes."""
        self._finish(self.requests[0], Result(status, data))

    def end_with_what_came(self, status: int) -> None:
        """End the oldest receive with this status and what has arrived."""
        request = self.requests[0]
        self._finish(request, self._what_came(request, status))

    def cancel(self, address: int) -> bool:
        """Carry out ``CancelIoEx``; return whether it finds a receive.

        Args:
          address: of the ``OVERLAPPED``; 0 means all receives.
        """
        choices = self.kernel.choices
        found = False
        for request in tuple(self.requests):
            if address not in (0, request.address):
                continue
            too_late = choices.cancel is CancelAnswer.NOT_FOUND
            if too_late and (result := self._take(request)) is not None:
                self._finish(request, result)
            else:
                request.answer = request.answer or choices.cancel
                found = True
        if found and self.is_stream and choices.cancels_neighbours:
            for request in self.requests:
                request.answer = request.answer or CancelAnswer.ABORTED
        if found and choices.prompt:
            self.settle()
        return found

    def close(self) -> None:
        """Do what closing the last handle of this process does."""
        self.closed_on_a_receive = bool(self.requests)
        choices = self.kernel.choices
        if self.foreign_handles:
            status: int = NtStatus.CANCELLED
        else:
            unread = self.has_data() or (choices.closing_resets and bool(self.requests))
            self.peer_saw = self.peer_saw or ("reset" if unread and self.is_stream else "end")
            usual = NtStatus.CONNECTION_ABORTED if self.is_stream else NtStatus.CANCELLED
            status = usual if choices.closed is None else choices.closed
        for request in tuple(self.requests):
            self._finish(request, Result(status))
