"""Socket addresses as Windows writes them and as Python gives them."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

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
