"""Addresses and control messages as Windows writes them and as Python gives them.

``WSARecvMsg`` writes one control message after the other into the control buffer.  Each begins
with a ``WSACMSGHDR``, whose length counts header and data.  The data and the next header begin at
the next multiple of the machine's pointer size.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, Final, TypeAlias

from .calls import ffi

#: The size of ``SOCKADDR_STORAGE``, which holds an address of any family, in bytes.
STORAGE_SIZE: Final = 128

# Windows' values; that of AF_INET6 is another elsewhere.
_AF_INET: Final = 2
_AF_INET6: Final = 23


def parse_address(sockaddr: bytes) -> Any:
    """Return the address that the standard library gives for a ``SOCKADDR``.

    Args:
      sockaddr: the structure, as many bytes of it as the system says it has.

    Returns:
      ``(host, port)`` for IPv4, ``(host, port, flowinfo, scope_id)`` for IPv6, None where the
      system gave no address, ``(family, 14 bytes)`` for any other family.
    """
    if not sockaddr:
        return None
    (family,) = struct.unpack_from("<H", sockaddr)
    if family == _AF_INET:
        port, host = struct.unpack_from("!2xH4s", sockaddr)
        return socket.inet_ntop(socket.AF_INET, host), port
    if family == _AF_INET6:
        port, flowinfo, host = struct.unpack_from("!2xHI16s", sockaddr)
        (scope_id,) = struct.unpack_from("<I", sockaddr, 24)
        return socket.inet_ntop(socket.AF_INET6, host), port, flowinfo, scope_id
    return family, sockaddr[2:16]


#: Control messages as ``(level, type, data)``.
AncillaryData: TypeAlias = list[tuple[int, int, bytes]]

_HEADER_SIZE: int = ffi.sizeof("WSACMSGHDR")
_ALIGNMENT: int = ffi.sizeof("uintptr_t")


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def parse_ancillary(control: bytes) -> AncillaryData:
    """Return the control messages in what was written into a control buffer.

    A message that did not fit is left out; the flag ``MSG_CTRUNC`` tells of it.
    """
    messages = []
    position = 0
    while position + _HEADER_SIZE <= len(control):
        header = ffi.from_buffer("WSACMSGHDR *", control[position : position + _HEADER_SIZE])
        end = position + header.cmsg_len
        if header.cmsg_len < _HEADER_SIZE or end > len(control):
            break
        data = control[position + _aligned(_HEADER_SIZE) : end]
        messages.append((header.cmsg_level, header.cmsg_type, data))
        position += _aligned(header.cmsg_len)
    return messages
