"""Addresses and control messages as Windows writes them and as Python gives them.

``WSARecvMsg`` writes one control message after the other into the control buffer.  Each begins
with a ``WSACMSGHDR``, whose length counts header and data.  The data and the next header begin at
the next multiple of the machine's pointer size.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from typing import Any, Final, TypeAlias

#: The size of ``SOCKADDR_STORAGE``, which holds an address of any family, in bytes.
STORAGE_SIZE: Final = 128

# Windows' values; that of AF_INET6 is another elsewhere.
_AF_INET: Final = 2
_AF_INET6: Final = 23


@lru_cache(maxsize=1024)
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


#: What Windows leaves of a sender's address for a stream.
NO_SENDER: Final = parse_address(bytes(16))

#: Control messages as ``(level, type, data)``.
AncillaryData: TypeAlias = list[tuple[int, int, bytes]]

# WSACMSGHDR: the length, a SIZE_T, then level and type.
_HEADER: Final = struct.Struct("@Nii")
_ALIGNMENT: Final = struct.calcsize("@N")


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def parse_ancillary(control: bytes) -> AncillaryData:
    """Return the control messages in what was written into a control buffer.

    A message that did not fit is left out; the flag ``MSG_CTRUNC`` tells of it.
    """
    messages = []
    position = 0
    while position + _HEADER.size <= len(control):
        length, level, kind = _HEADER.unpack_from(control, position)
        end = position + length
        if length < _HEADER.size or end > len(control):
            break
        messages.append((level, kind, control[position + _aligned(_HEADER.size) : end]))
        position += _aligned(length)
    return messages
