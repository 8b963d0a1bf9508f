"""TCP and UDP sockets: what has arrived on one, and what a receive takes of it."""

from __future__ import annotations

import enum
import socket
from collections import deque
from dataclasses import replace

from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

from .behaviour import WaitAll
from .kernel import Endpoint, Kernel
from .request import Result


class State(enum.Enum):
    """The state of a TCP socket."""

    CONNECTED = enum.auto()
    UNCONNECTED = enum.auto()
    CONNECTING = enum.auto()
    LISTENING = enum.auto()


class Stream(Endpoint):
    """A TCP socket: bytes in order, the end of the stream, and urgent bytes.

    A reset loses what has not been received, and fails all receives from then on.  The end of the
    stream is reported again and again, too.  The last byte of what is sent as urgent is kept apart
    and received with ``MSG_OOB``, one at a time, unless ``SO_OOBINLINE`` is set.

    Attributes:
      ended: whether the peer has ended the stream.
      failure: how the connection has failed, or None.
      urgent_inline: SO_OOBINLINE.
    """

    kind = socket.SOCK_STREAM

    def __init__(self, kernel: Kernel, state: State = State.CONNECTED) -> None:
        super().__init__(kernel)
        self.state = state
        self._pieces: deque[tuple[bytes, NtStatus]] = deque()
        self._urgent: deque[bytes] = deque()
        self.urgent_inline = False
        self.ended = False
        self.failure: NtStatus | None = None

    def send(self, data: bytes, status: NtStatus = NtStatus.SUCCESS) -> None:
        """Have bytes arrive; a receive of them ends with this status."""
        self._pieces.append((data, status))
        self.arrived()

    def send_urgent(self, data: bytes) -> None:
        """Have bytes arrive, of which the last is urgent."""
        if self.urgent_inline:
            self._pieces.append((data, NtStatus.SUCCESS))
        else:
            if data[:-1]:
                self._pieces.append((data[:-1], NtStatus.SUCCESS))
            self._urgent.append(data[-1:])
        self.arrived()

    def send_end(self) -> None:
        """Have the end of the stream arrive."""
        self.ended = True
        self.arrived()

    def reset(self, status: NtStatus = NtStatus.CONNECTION_RESET) -> None:
        """Reset the connection."""
        self._pieces.clear()
        self.failure = status
        self.arrived()

    @property
    def waiting(self) -> bytes:
        """The bytes that have not been received."""
        return b"".join(data for data, _ in self._pieces)

    def has_data(self) -> bool:
        return bool(self._pieces)

    def has_news(self) -> bool:
        return bool(self._pieces or self.ended or self.failure)

    def shutdown(self, how: int) -> None:
        if self.state is not State.CONNECTED:
            raise self.kernel.error(WinsockError.WSAENOTCONN)
        self.is_shut |= how != socket.SHUT_WR

    def refusal(self, flags: MsgFlag) -> WinsockError | None:
        choices = self.kernel.choices
        if self.state is not State.CONNECTED:
            return WinsockError.WSAENOTCONN
        if self.is_shut:
            return WinsockError.WSAESHUTDOWN
        if flags & MsgFlag.MSG_OOB:
            refused = not self._urgent and choices.refuses_early_oob
            if refused or self.urgent_inline:
                return WinsockError.WSAEINVAL
        if flags & MsgFlag.MSG_PARTIAL and choices.refuses_partial:
            return WinsockError.WSAEOPNOTSUPP
        refuses_wait_all = choices.wait_all is WaitAll.REFUSED and not self.blocking
        if flags & MsgFlag.MSG_WAITALL and refuses_wait_all:
            return WinsockError.WSAEOPNOTSUPP
        return None

    def _must_be_full(self, flags: MsgFlag) -> bool:
        if not flags & MsgFlag.MSG_WAITALL or self.ended:
            return False
        return self.blocking or self.kernel.choices.wait_all is WaitAll.WAITS

    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        if flags & MsgFlag.MSG_OOB:
            return self._take_urgent(capacity, flags)
        if self.failure:
            return Result(self.failure)
        if not self._pieces:
            return Result(NtStatus.SUCCESS) if self.ended else None
        if len(self.waiting) < capacity and self._must_be_full(flags):
            return None
        taken, status, rest = b"", NtStatus.SUCCESS, deque(self._pieces)
        while rest and len(taken) < capacity and status == NtStatus.SUCCESS:
            if taken and rest[0][1] != NtStatus.SUCCESS:
                break
            data, status = rest.popleft()
            room = capacity - len(taken)
            taken += data[:room]
            if data[room:]:
                rest.appendleft((data[room:], status))
        if not flags & MsgFlag.MSG_PEEK:
            self._pieces = rest
        return Result(status, taken)

    def _take_urgent(self, capacity: int, flags: MsgFlag) -> Result | None:
        if not self._urgent:
            return None
        octet = self._urgent[0] if flags & MsgFlag.MSG_PEEK else self._urgent.popleft()
        return Result(self.kernel.choices.urgent_status, octet[:capacity])


class Datagrams(Endpoint):
    """A UDP socket: a receive takes one datagram, or the error that an ICMP message brings.

    A datagram that does not fit fills the buffers, empty ones too, and the rest is lost.
    """

    kind = socket.SOCK_DGRAM

    def __init__(self, kernel: Kernel, *, is_bound: bool = True) -> None:
        super().__init__(kernel)
        self.is_bound = is_bound
        self._arrived: deque[Result] = deque()
        self._still_open = 0

    def send(self, data: bytes, sender: bytes = b"", control: bytes = b"") -> None:
        """Have a datagram arrive; ``sender`` is a ``SOCKADDR``, ``control`` control messages."""
        self._arrived.append(Result(NtStatus.SUCCESS, data, sender, control))
        self.arrived()

    def send_error(self, status: NtStatus = NtStatus.PORT_UNREACHABLE) -> None:
        """Have an ICMP message arrive."""
        self._arrived.append(Result(status))
        self.arrived()

    @property
    def waiting(self) -> list[bytes]:
        """The datagrams that have not been received."""
        return [each.data for each in self._arrived if each.status == NtStatus.SUCCESS]

    def has_data(self) -> bool:
        return bool(self._arrived) and self._arrived[0].status == NtStatus.SUCCESS

    def has_news(self) -> bool:
        return bool(self._arrived)

    def shutdown(self, how: int) -> None:
        if how == socket.SHUT_WR:
            return
        if how == socket.SHUT_RDWR and self.kernel.choices.late_udp_shutdown:
            self._still_open = 1
        self.is_shut = True

    def refusal(self, flags: MsgFlag) -> WinsockError | None:
        if not self.is_bound:
            return WinsockError.WSAEINVAL
        if self.is_shut:
            if not self._still_open:
                return WinsockError.WSAESHUTDOWN
            self._still_open -= 1
        if flags & MsgFlag.MSG_OOB:
            return WinsockError.WSAEOPNOTSUPP
        if flags & MsgFlag.MSG_PARTIAL and self.kernel.choices.refuses_partial:
            return WinsockError.WSAEOPNOTSUPP
        return None

    def take(self, capacity: int, flags: MsgFlag) -> Result | None:
        if not self._arrived:
            return None
        result = self._arrived[0]
        if not flags & MsgFlag.MSG_PEEK:
            self._arrived.popleft()
        if len(result.data) <= capacity:
            return result
        data = result.data[:capacity]
        return replace(result, status=NtStatus.BUFFER_OVERFLOW, data=data, is_cut=True)
