"""What a socket handle stands for in the kernel, and what the peer has done to it.

Several handles may stand for one endpoint; it ends with the last of them.
"""

from __future__ import annotations

import socket
import weakref
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

import trio

from trio_wsarecv._codes import MsgFlag, NtStatus, WinsockError

from .behaviour import CancelAnswer
from .request import Request, Result

if TYPE_CHECKING:
    from .kernel import Kernel
    from .port import Packet, Port

# What the call itself reports of an error that has come before it.
AT_ONCE = {
    NtStatus.CONNECTION_RESET: WinsockError.WSAECONNRESET,
    NtStatus.CONNECTION_ABORTED: WinsockError.WSAECONNABORTED,
    NtStatus.PORT_UNREACHABLE: WinsockError.WSAECONNRESET,
    NtStatus.HOST_UNREACHABLE: WinsockError.WSAEHOSTUNREACH,
    NtStatus.GRACEFUL_DISCONNECT: WinsockError.WSAEDISCON,
    NtStatus.BUFFER_OVERFLOW: WinsockError.WSAEMSGSIZE,
}

CANCELLED = Result(NtStatus.CANCELLED)


class Endpoint(ABC):
    """One socket in the kernel.

    Attributes:
      is_associated: whether it is associated with a completion port, be it one that is gone.
      ifs_handles: whether the provider's handles are handles of the file system.
      overlapped_io: whether the socket was made for overlapped I/O.
      refusals: the Winsock errors with which the next calls fail at once.
      requests: the receives that the kernel has, in order.
      closed_on_a_receive: whether the last handle was closed while the kernel had a receive.
      taken: by task, what receives have taken out of the kernel; a test takes it from here.
      peer_saw: how the connection ended for the peer: "end" or "reset".
    """

    kind: socket.SocketKind

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._port: weakref.ref[Port] | None = None
        self.ifs_handles = True
        self.overlapped_io = True
        self.refusals: deque[WinsockError] = deque()
        self.requests: list[Request] = []
        self.handles = 0
        self.is_shut = False
        self.peer_saw: str | None = None
        self.closed_on_a_receive = False
        # A reference to a task would keep it from going down with its run.
        self.taken: weakref.WeakKeyDictionary[trio.lowlevel.Task, bytes]
        self.taken = weakref.WeakKeyDictionary()

    @abstractmethod
    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        """Take what a receive gets now, or None where it has to wait."""

    @abstractmethod
    def has_data(self) -> bool:
        """Tell whether bytes have arrived that nobody has taken."""

    @abstractmethod
    def is_readable(self) -> bool:
        """Tell whether a receive of a program without overlapped I/O would not block."""

    @property
    def is_associated(self) -> bool:
        return self._port is not None

    def associate(self, port: Port) -> None:
        """Have the packets go to a port from here on, for as long as that exists."""
        self._port = weakref.ref(port)

    def post(self, packet: Packet) -> None:
        port = self._port() if self._port else None
        if port is not None:
            port.post(packet)

    @property
    def is_stream(self) -> bool:
        return self.kind == socket.SOCK_STREAM

    def arrived(self) -> None:
        """Get on with what has come from the peer, unless that is for later."""
        if self.kernel.behaviour.acts_now():
            self.settle()
        self.kernel.wake_readers()

    def submit(self, request: Request) -> int:
        """Accept a receive; return what the call reports, 0 or an error code."""
        if self.refusals:
            return self.refusals.popleft()
        if self.is_shut:
            return WinsockError.WSAESHUTDOWN
        now = not self.requests and self.kernel.behaviour.acts_now()
        result = self.take(request.capacity, request.flags) if now else None
        if result is not None and result.status >> 30 == 3:
            return AT_ONCE[result.status]
        self.kernel.accept(request)
        if result is None:
            self.requests.append(request)
            return WinsockError.WSA_IO_PENDING
        self._note(request.task(), result.data)
        self.kernel.finish(request, result)
        if self.kernel.behaviour.reports_pending():
            return WinsockError.WSA_IO_PENDING
        return AT_ONCE.get(result.status, 0)

    def receive(self, nbytes: int, flags: int) -> Result:
        """Receive without overlapped I/O and without waiting."""
        if self.is_shut:
            raise self.kernel.error(WinsockError.WSAESHUTDOWN)
        result = None if self.requests else self.take(nbytes, MsgFlag(flags))
        if result is None:
            raise self.kernel.error(WinsockError.WSAEWOULDBLOCK)
        if result.status >> 30 == 3:
            raise self.kernel.error(AT_ONCE[result.status])
        if not flags & MsgFlag.MSG_PEEK:
            self._note(trio.lowlevel.current_task(), result.data)
        return result

    def _note(self, task: trio.lowlevel.Task | None, data: bytes) -> None:
        if task is not None:
            self.taken[task] = self.taken.get(task, b"") + data

    def settle(self) -> None:
        """Finish every receive that can be finished by now."""
        for request in tuple(self.requests):
            result = self._result(request)
            if result is not None:
                self._finish(request, result)

    def _result(self, request: Request) -> Result | None:
        if request.answer is None:
            if request is not self.requests[0]:
                return None
            return self.take(request.capacity, request.flags)
        if request.answer is CancelAnswer.COMPLETES:
            return self.take(request.capacity, request.flags) or CANCELLED
        if request.answer is CancelAnswer.ABORTED_WITH_BYTES and self.has_data():
            result = self.take(request.capacity, request.flags)
            return Result(NtStatus.CANCELLED, result.data) if result else CANCELLED
        return CANCELLED

    def _finish(self, request: Request, result: Result) -> None:
        self.requests.remove(request)
        self._note(request.task(), result.data)
        self.kernel.finish(request, result)

    def end(self, status: NtStatus, data: bytes = b"") -> None:
        """End the receive that the kernel has in a way of the test's choosing."""
        self._finish(self.requests[0], Result(status, data))

    def end_with_what_came(self, status: NtStatus) -> None:
        """End the receive that the kernel has, with a status and what has arrived."""
        request = self.requests[0]
        result = self.take(request.capacity, request.flags) if self.has_data() else None
        self._finish(request, Result(status, result.data if result else b""))

    def cancel(self, request: Request) -> bool:
        """Carry out ``CancelIoEx``; return whether it finds the receive.

        On a connection, cancelling one receive cancels every one.
        """
        answer = self.kernel.behaviour.cancel_answer()
        if answer is CancelAnswer.NOT_FOUND:
            result = self.take(request.capacity, request.flags)
            if result is not None:
                self._finish(request, result)
                return False
        request.answer = request.answer or answer
        if self.is_stream:
            for neighbour in self.requests:
                neighbour.answer = neighbour.answer or CancelAnswer.ABORTED
        if self.kernel.behaviour.acts_now():
            self.settle()
        return True

    def close(self) -> None:
        """Do what the loss of the last handle does."""
        self.closed_on_a_receive = bool(self.requests)
        unread = bool(self.requests) or self.has_data()
        self.peer_saw = self.peer_saw or ("reset" if unread and self.is_stream else "end")
        status = self.kernel.behaviour.closed_status(is_stream=self.is_stream)
        for request in tuple(self.requests):
            self._finish(request, Result(status))


class Stream(Endpoint):
    """A TCP connection.

    Attributes:
      ended: whether the peer has ended the stream.
      failure: how the connection has failed, or None.
    """

    kind = socket.SOCK_STREAM

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._pieces: deque[tuple[bytes, NtStatus]] = deque()
        self._urgent: deque[bytes] = deque()
        self.ended = False
        self.failure: NtStatus | None = None

    def send(self, data: bytes, status: NtStatus = NtStatus.SUCCESS) -> None:
        """Have bytes arrive, and a status other than success with them."""
        self._pieces.append((data, status))
        self.arrived()

    def send_urgent(self, data: bytes) -> None:
        """Have out-of-band bytes arrive."""
        self._urgent.append(data)
        self.arrived()

    def send_end(self) -> None:
        """End the stream from the peer's side."""
        self.ended = True
        self.arrived()

    def reset(self, status: NtStatus = NtStatus.CONNECTION_RESET) -> None:
        """Reset the connection: what nobody has received yet is lost."""
        self._pieces.clear()
        self.failure = status
        self.arrived()

    def has_data(self) -> bool:
        return bool(self._pieces)

    def is_readable(self) -> bool:
        if self.requests:
            return False
        return bool(self._pieces or self.ended or self.failure or self.refusals or self.is_shut)

    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        if flags & MsgFlag.MSG_OOB:
            if not self._urgent:
                return None
            return Result(NtStatus.RECEIVE_EXPEDITED, self._urgent.popleft()[:capacity])
        if self.failure:
            return Result(self.failure)
        if not self._pieces:
            return Result(NtStatus.SUCCESS) if self.ended else None
        taken, status, rest = bytearray(), NtStatus.SUCCESS, list(self._pieces)
        while rest and len(taken) < capacity and status == NtStatus.SUCCESS:
            data, status = rest.pop(0)
            if status != NtStatus.SUCCESS and taken:
                rest.insert(0, (data, status))
                status = NtStatus.SUCCESS
                break
            room = capacity - len(taken)
            taken += data[:room]
            if data[room:]:
                rest.insert(0, (data[room:], status))
        if not flags & MsgFlag.MSG_PEEK:
            self._pieces = deque(rest)
        return Result(status, bytes(taken))


class Datagrams(Endpoint):
    """A UDP socket."""

    kind = socket.SOCK_DGRAM

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._arrived: deque[Result] = deque()

    def send(self, data: bytes, sender: bytes = b"", control: bytes = b"") -> None:
        """Have a datagram arrive; ``sender`` is a ``sockaddr``, ``control`` a row of cmsgs."""
        self._arrived.append(Result(NtStatus.SUCCESS, data, sender, control))
        self.arrived()

    def send_error(self, status: NtStatus = NtStatus.PORT_UNREACHABLE) -> None:
        """Have an ICMP message arrive."""
        self._arrived.append(Result(status))
        self.arrived()

    def has_data(self) -> bool:
        return bool(self._arrived) and self._arrived[0].status == NtStatus.SUCCESS

    def is_readable(self) -> bool:
        return not self.requests and bool(self._arrived or self.refusals or self.is_shut)

    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        if not self._arrived:
            return None
        result = self._arrived[0]
        if not flags & MsgFlag.MSG_PEEK:
            self._arrived.popleft()
        if len(result.data) > capacity:
            return Result(
                NtStatus.BUFFER_OVERFLOW, result.data[:capacity], result.sender, result.control
            )
        return result
