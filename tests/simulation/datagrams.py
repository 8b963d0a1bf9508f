"""A UDP socket: each receive takes one datagram, or the error that an ICMP message brings.

A datagram that does not fit fills the buffers, empty ones too, and the rest is lost.
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from trio_wsarecv._winsock.codes import MsgFlag, NtStatus, WinsockError

from .behaviour import Partial
from .endpoint import Endpoint
from .request import Result

if TYPE_CHECKING:
    from .kernel import Kernel


class Datagrams(Endpoint):
    """A UDP socket.

    Attributes:
      is_bound: whether it has an address.
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

    def is_readable(self) -> bool:
        return not self.requests and bool(self._arrived or self.refusals)

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
        if flags & MsgFlag.MSG_PARTIAL and self.kernel.choices.partial is Partial.REFUSED:
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
