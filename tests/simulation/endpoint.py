"""What a socket handle stands for in the kernel, and what the peer has done to it.

Several handles may stand for one endpoint, which ends with the last of them.  It can be associated
with one completion port in its life, and skip mode, once set, stays set.

A receive that fails inline has not run: no packet follows.  Receives that are accepted complete in
the order in which they were submitted, with data, the end of the stream or an error.
"""

from __future__ import annotations

import socket
import weakref
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

from .behaviour import CancelAnswer, ShortControl, TooLong
from .errors import INLINE_ERRORS, ThreadBlocked, is_error
from .packets import Packet, PacketQueue
from .request import Request, Result
from .sending import Outgoing

if TYPE_CHECKING:
    from .kernel import Kernel

CANCELLED = Result(NtStatus.CANCELLED)


class Endpoint(ABC):
    """One socket in the kernel.

    Attributes:
      ifs_handles: whether the provider's handles are handles of the file system.
      chain_length: how many providers there are, one on top of the other.
      overlapped_io: whether the socket was made for overlapped I/O.
      blocking: whether a call without an ``OVERLAPPED`` waits.
      refusals: the Winsock errors with which the next calls fail inline.
      requests: the receives that the kernel has, in order.
      handles: how many handles of this process stand for it.
      foreign_handles: how many handles of other processes stand for it.
      key: what its packets carry.
      skips_on_success: whether it is in skip mode.
      registered_with: the port with which the package has associated it, or None.
      is_shut: whether its receiving side has been shut down.
      closed_on_a_receive: whether the last handle was closed while the kernel had a receive.
      taken: by task, what receives have taken out of the kernel; tests pop it.
      outgoing: its sending side.
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
        self.key: object = None
        self.skips_on_success = False
        self._port: weakref.ref[PacketQueue] | None = None
        self.registered_with: weakref.ref[PacketQueue] | None = None
        self.is_shut = False
        self.peer_saw: str | None = None
        self.closed_on_a_receive = False
        # A reference to a task would keep it alive after its run.
        self.taken = weakref.WeakKeyDictionary[trio.lowlevel.Task, bytes]()

    @property
    def is_associated(self) -> bool:
        return self._port is not None

    def associate(self, port: PacketQueue, key: object) -> None:
        """Have the packets go to a port, for as long as that exists."""
        self._port = weakref.ref(port)
        self.key = key

    def gets_packet(self, *, inline: bool) -> bool:
        """Tell whether a receive that has completed queues a packet."""
        return self.is_associated and not (inline and self.skips_on_success)

    def post(self, address: int) -> None:
        port = self._port() if self._port else None
        if port is not None:
            port.post(Packet(address, self.key))

    @abstractmethod
    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        """Take what a receive gets now; None: it has to wait."""

    @abstractmethod
    def has_data(self) -> bool:
        """Tell whether bytes have arrived that have not been received."""

    @abstractmethod
    def is_readable(self) -> bool:
        """Tell whether the socket polls readable."""

    @abstractmethod
    def refusal(self, flags: MsgFlag) -> WinsockError | None:
        """Return the error of a receive that the state of the socket does not allow."""

    @abstractmethod
    def shutdown(self, how: int) -> None:
        """Shut down one side or both; pending receives stay pending."""

    @property
    def is_stream(self) -> bool:
        return self.kind == socket.SOCK_STREAM

    def arrived(self) -> None:
        """Process what has come from the peer, unless the kernel is not prompt."""
        if self.kernel.choices.prompt:
            self.settle()
        self.kernel.wake_readers()

    def submit(self, request: Request) -> int:
        """Accept a receive; return what the call reports, 0 or an error code."""
        if self.refusals:
            return self.refusals.popleft()
        if error := self.refusal(request.flags):
            return error
        choices = self.kernel.choices
        now = not self.requests and choices.prompt
        result = self._take(request) if now else None
        if result is not None and is_error(result.status):
            return INLINE_ERRORS[result.status]
        if result is None and not self.overlapped_io:
            raise ThreadBlocked
        self.kernel.accept(request)
        if result is None:
            self.requests.append(request)
            return WinsockError.WSA_IO_PENDING
        self._note(request, result.data)
        too_long = result.status == NtStatus.BUFFER_OVERFLOW
        pends = choices.always_pends or (too_long and choices.too_long is TooLong.PENDS)
        pends = pends and self.overlapped_io
        self.kernel.finish(request, result, inline=not pends)
        return WinsockError.WSA_IO_PENDING if pends else INLINE_ERRORS.get(result.status, 0)

    def _take(self, request: Request) -> Result | None:
        result = self.take(request.capacity, request.flags)
        if result is None or not request.message or result.status != NtStatus.SUCCESS:
            return result
        fits = len(result.control) <= request.control_size
        if fits or self.kernel.choices.short_control is ShortControl.SUCCESS:
            return result
        return replace(result, status=NtStatus.BUFFER_OVERFLOW)

    def receive(self, request: Request) -> Result:
        """Receive without an ``OVERLAPPED``."""
        if self.refusals:
            raise self.kernel.error(self.refusals.popleft())
        if error := self.refusal(request.flags):
            raise self.kernel.error(error)
        if not self.blocking:
            request.flags &= ~MsgFlag.MSG_WAITALL  # it cannot wait without an OVERLAPPED
        result = None if self.requests else self._take(request)
        if result is None:
            if self.blocking:
                raise ThreadBlocked
            raise self.kernel.error(WinsockError.WSAEWOULDBLOCK)
        if is_error(result.status):
            raise self.kernel.error(INLINE_ERRORS[result.status])
        if not request.flags & MsgFlag.MSG_PEEK:
            self._note(request, result.data)
        return result

    def _note(self, request: Request, data: bytes) -> None:
        task = request.task() if request.task else None
        if task is not None:
            self.taken[task] = self.taken.get(task, b"") + data

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
        self._note(request, result.data)
        self.kernel.finish(request, result)

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
            if address in (0, request.address):
                found |= self._cancel(request, choices.cancel)
        if found and self.is_stream and choices.cancels_neighbours:
            for request in self.requests:
                request.answer = request.answer or CancelAnswer.ABORTED
        if found and choices.prompt:
            self.settle()
        return found

    def _cancel(self, request: Request, answer: CancelAnswer) -> bool:
        if answer is CancelAnswer.NOT_FOUND:
            result = self._take(request)
            if result is not None:
                self._finish(request, result)
                return False
        request.answer = request.answer or answer
        return True

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
