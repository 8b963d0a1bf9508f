"""Sending: what the kernel takes at once, what it refuses, and who waits until it takes more.

It copies all of it during the call.  Nothing of a send goes on behind that.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trio_wsarecv._winsock.codes import WinsockError

from .memory import address_of, peek, real

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kernel import Kernel

SOCKET_ERROR = -1
MAX_UDP_DATA = 65507


@dataclass(frozen=True)
class Sent:
    """What the kernel has taken by one call.

    Attributes:
      call: the function that was called.
      data: the bytes.
      name: the ``SOCKADDR``, as it was given, or an address as the standard library takes it.
      control: the control buffer, as it was given.
      flags: of the call.
    """

    call: str
    data: bytes
    name: Any = b""
    control: bytes = b""
    flags: int = 0


class Outgoing:
    """The sending side of a socket.

    Attributes:
      sent: what the kernel has taken, in order.
      room: how many bytes of a stream, or how many datagrams, it takes before it is full; None if
          it is never full.
      refusals: the Winsock errors with which the next sends fail; None for one that succeeds.
    """

    def __init__(self, *, is_stream: bool) -> None:
        self.is_stream = is_stream
        self.sent: list[Sent] = []
        self.room: int | None = None
        self.refusals: deque[WinsockError | None] = deque()

    def is_writable(self) -> bool:
        return self.room != 0

    def take(self, sending: Sent) -> int:
        """Take what is sent; return how many bytes, or the negative of an error code."""
        if self.refusals and (refusal := self.refusals.popleft()):
            return -refusal
        if not self.is_stream and len(sending.data) > MAX_UDP_DATA:
            return -WinsockError.WSAEMSGSIZE
        if self.room == 0:
            return -WinsockError.WSAEWOULDBLOCK
        nbytes = len(sending.data)
        if self.room is not None:
            nbytes = min(nbytes, self.room) if self.is_stream else nbytes
            self.room -= nbytes if self.is_stream else 1
        data = sending.data[:nbytes]
        self.sent.append(Sent(sending.call, data, sending.name, sending.control, sending.flags))
        return nbytes


class SendCalls:
    """The functions of ``ws2_32.dll`` that send."""

    _kernel: Kernel
    _fail: Callable[[int], int]

    def WSASend(
        self,
        s: int,
        lpBuffers: Any,
        dwBufferCount: int,
        lpNumberOfBytesSent: Any,
        dwFlags: int,
        lpOverlapped: Any,
        lpCompletionRoutine: Any,
        /,
    ) -> int:
        self._check_waits_for_nothing(lpOverlapped, lpCompletionRoutine)
        buffers = (lpBuffers, dwBufferCount)
        return self._send("WSASend", s, buffers, lpNumberOfBytesSent, dwFlags)

    def WSASendTo(
        self,
        s: int,
        lpBuffers: Any,
        dwBufferCount: int,
        lpNumberOfBytesSent: Any,
        dwFlags: int,
        lpTo: Any,
        iTolen: int,
        lpOverlapped: Any,
        lpCompletionRoutine: Any,
        /,
    ) -> int:
        self._check_waits_for_nothing(lpOverlapped, lpCompletionRoutine)
        buffers = (lpBuffers, dwBufferCount)
        name = self._read("address", lpTo, iTolen)
        return self._send("WSASendTo", s, buffers, lpNumberOfBytesSent, dwFlags, name)

    def WSASendMsg(
        self,
        s: int,
        lpMsg: Any,
        dwFlags: int,
        lpNumberOfBytesSent: Any,
        lpOverlapped: Any,
        lpCompletionRoutine: Any,
        /,
    ) -> int:
        self._check_waits_for_nothing(lpOverlapped, lpCompletionRoutine)
        if self._kernel.choices.message_faults:
            return self._fail(WinsockError.WSAEFAULT)
        endpoint = self._kernel.endpoint(s)
        if endpoint is not None and endpoint.is_stream:
            return self._fail(WinsockError.WSAEINVAL)
        if bool(lpMsg.Control.buf) != bool(lpMsg.Control.len):
            return self._fail(WinsockError.WSAEFAULT)
        if address_of(lpMsg.Control.buf) % real.sizeof("uintptr_t"):
            self._kernel.complain("a control buffer is not aligned")
        buffers = (lpMsg.lpBuffers, lpMsg.dwBufferCount)
        name = self._read("address", lpMsg.name, lpMsg.namelen)
        control = self._read("control data", lpMsg.Control.buf, lpMsg.Control.len)
        return self._send("WSASendMsg", s, buffers, lpNumberOfBytesSent, dwFlags, name, control)

    def _check_waits_for_nothing(self, overlapped: Any, routine: Any) -> None:
        if overlapped or routine:
            self._kernel.complain("a send was submitted that nobody waits for")

    def _read(self, what: str, pointer: Any, nbytes: int) -> bytes:
        if not nbytes:
            return b""
        if fault := self._kernel.memory.fault(address_of(pointer), nbytes):
            self._kernel.complain(f"the {what} of a send {fault}")
            return b""
        return peek(address_of(pointer), nbytes)

    def _send(
        self,
        call: str,
        handle: int,
        buffers: tuple[Any, int],
        sent: Any,
        flags: int,
        name: bytes = b"",
        control: bytes = b"",
    ) -> int:
        endpoint = self._kernel.endpoint(handle)
        if endpoint is None:
            self._kernel.complain("a send was made on a handle that is not open")
            return self._fail(WinsockError.WSAENOTSOCK)
        wsabufs, count = buffers
        if not count:
            return self._fail(WinsockError.WSAEINVAL)
        data = b"".join(self._read("buffer", wsabufs[i].buf, wsabufs[i].len) for i in range(count))
        nbytes = endpoint.outgoing.take(Sent(call, data, name, control, flags))
        if nbytes < 0:
            return self._fail(-nbytes)
        sent[0] = nbytes
        return 0


def sockaddr_in(host: bytes, port: int) -> bytes:
    """Lay out a ``SOCKADDR_IN`` of Windows."""
    return struct.pack("<H", 2) + struct.pack("!H4s8x", port, host)
