"""Sending: the kernel takes the data during the call, refuses it, or has no room for it."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from trio_wsarecv._winsock.codes import WinsockError

MAX_UDP_DATA = 65507


@dataclass(frozen=True)
class Sent:
    """What the kernel has taken by one call.

    The name is a ``SOCKADDR``, or an address as the standard library takes it.
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


def sockaddr_in(host: bytes, port: int) -> bytes:
    """Lay out a ``SOCKADDR_IN`` of Windows."""
    return struct.pack("<H", 2) + struct.pack("!H4s8x", port, host)
