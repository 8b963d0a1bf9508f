"""Sending: the kernel takes the data during the call, refuses it, or has no room for it."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trio_wsarecv._winsock.codes import WinsockError

from .memory import address_of, peek, real

if TYPE_CHECKING:
    from .kernel import Kernel

SOCKET_ERROR = -1
MAX_UDP_DATA = 65507


@dataclass(frozen=True)
class Sent:
    """What the kernel has taken by one call.

    Attributes:
      call: the function that was called.
      data: the bytes.
      name: the ``SOCKADDR``, or an address as the standard library takes it.
      control: the control buffer.
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
        """Take data; return how many bytes, or the negative of an error code."""
        nbytes = len(sending.data)
        if self.refusals and (refusal := self.refusals.popleft()):
            return -refusal
        if not self.is_stream and nbytes > MAX_UDP_DATA:
            return -WinsockError.WSAEMSGSIZE
        if self.room == 0:
            return -WinsockError.WSAEWOULDBLOCK
        if self.room is not None:
            nbytes = min(nbytes, self.room) if self.is_stream else nbytes
            self.room -= nbytes if self.is_stream else 1
        self.sent.append(replace(sending, data=sending.data[:nbytes]))
        return nbytes


class SendCalls:
    """The functions of ``ws2_32.dll`` that send."""

    _kernel: Kernel
    _fail: Callable[[int], int]

    def WSASend(self, s: int, *arguments: Any) -> int:
        buffers, count, sent, flags, *waiting = arguments
        return self._send("WSASend", s, buffers, count, sent, flags, waiting)

    def WSASendTo(self, s: int, *arguments: Any) -> int:
        buffers, count, sent, flags, name, namelen, *waiting = arguments
        address = self._read("address", name, namelen)
        return self._send("WSASendTo", s, buffers, count, sent, flags, waiting, address)

    def WSASendMsg(self, s: int, *arguments: Any) -> int:
        message, flags, sent, *waiting = arguments
        control = message.Control
        if self._kernel.choices.message_faults or bool(control.buf) != bool(control.len):
            return self._fail(WinsockError.WSAEFAULT)
        endpoint = self._kernel.endpoint(s)
        if endpoint is not None and endpoint.is_stream:
            return self._fail(WinsockError.WSAEINVAL)
        if address_of(control.buf) % real.sizeof("uintptr_t"):
            self._kernel.complain("a control buffer is not aligned")
        buffers, count = message.lpBuffers, message.dwBufferCount
        address = self._read("address", message.name, message.namelen)
        data = self._read("control data", control.buf, control.len)
        return self._send("WSASendMsg", s, buffers, count, sent, flags, waiting, address, data)

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
        buffers: Any,
        count: int,
        sent: Any,
        flags: int,
        waiting: list[Any],
        name: bytes = b"",
        control: bytes = b"",
    ) -> int:
        if any(waiting):
            self._kernel.complain("a send was given an OVERLAPPED or a completion routine")
        endpoint = self._kernel.endpoint(handle)
        if endpoint is None:
            self._kernel.complain("a send was made on a handle that is not open")
            return self._fail(WinsockError.WSAENOTSOCK)
        if not count:
            return self._fail(WinsockError.WSAEINVAL)
        data = b"".join(self._read("buffer", buffers[i].buf, buffers[i].len) for i in range(count))
        nbytes = endpoint.outgoing.take(Sent(call, data, name, control, flags))
        if nbytes < 0:
            return self._fail(-nbytes)
        sent[0] = nbytes
        return 0


def sockaddr_in(host: bytes, port: int) -> bytes:
    """Lay out a ``SOCKADDR_IN`` of Windows."""
    return struct.pack("<H", 2) + struct.pack("!H4s8x", port, host)
