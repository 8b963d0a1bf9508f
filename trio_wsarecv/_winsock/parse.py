"""Addresses and control messages as Windows writes them and as Python gives them.

``WSARecvMsg`` writes one control message after the other into the control buffer, and
``WSASendMsg`` reads them there.  Each begins with a ``WSACMSGHDR``, whose length counts header and
data.  The data and the next header begin at the next multiple of the machine's pointer size.
"""

from __future__ import annotations

import operator
import socket
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

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


@lru_cache(maxsize=1024)
def is_numeric(family: int, host: str) -> bool:
    """Return whether a host is a numeric address of that family, not a name."""
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True


def lay_out_address(family: int, address: Any) -> bytes:
    """Return the ``SOCKADDR`` of an address, the opposite of `parse_address`.

    Args:
      family: that of the socket, IPv4 or IPv6.
      address: as the standard library takes it, its host numeric.

    Raises:
      TypeError: it is not such a tuple.
      OverflowError: a number in it is negative or too large.
      OSError: the host is not numeric.
    """
    is_ipv6 = family == socket.AF_INET6
    if not isinstance(address, tuple) or not 2 <= len(address) <= 2 + 2 * is_ipv6:
        raise TypeError("an address is a tuple: host, port; for IPv6 also flow information, scope")
    port, flowinfo, scope_id, *_ = (*map(operator.index, address[1:]), 0, 0)
    if not 0 <= port < 1 << 16 or not 0 <= flowinfo < 1 << 20 or not 0 <= scope_id < 1 << 32:
        raise OverflowError("the port, the flow information or the scope is out of range")
    host = socket.inet_pton(family, address[0])
    if is_ipv6:
        flow = struct.pack("!HI16s", port, flowinfo, host)
        return struct.pack("<H22sI", _AF_INET6, flow, scope_id)
    return struct.pack("<H6s8x", _AF_INET, struct.pack("!H4s", port, host))


#: The sender's address that Windows gives for a stream.
NO_SENDER: Final = parse_address(bytes(16))

#: Control messages as ``(level, type, data)``.
AncillaryData: TypeAlias = list[tuple[int, int, bytes]]

# WSACMSGHDR: the length, a SIZE_T, then level and type.
_HEADER: Final = struct.Struct("@Nii")
_HEADERS: Final = {4: struct.Struct("<Iii"), 8: struct.Struct("<Qii")}
_ALIGNMENT: Final = struct.calcsize("@N")


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def parse_ancillary(control: bytes) -> AncillaryData:
    """Return the control messages in what was written into a control buffer.

    A message that did not fit is left out; the flag ``MSG_CTRUNC`` reports it.
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


def lay_out_ancillary(
    messages: Iterable[tuple[int, int, Any]], pointer_size: int = _ALIGNMENT
) -> bytes:
    """Return a control buffer with these control messages, the opposite of `parse_ancillary`.

    Args:
      messages: each as ``(level, type, data)``.
      pointer_size: of the machine, in bytes.

    Raises:
      TypeError: one of them is something else.
      OverflowError: a level or a type is too large.
    """
    header = _HEADERS[pointer_size]
    control = b""
    for message in messages:
        try:
            level, kind, data = message
        except (TypeError, ValueError):
            raise TypeError("ancillary data is a tuple (level, type, data)") from None
        level, kind, data = operator.index(level), operator.index(kind), bytes(memoryview(data))
        if not -1 << 31 <= min(level, kind) <= max(level, kind) < 1 << 31:
            raise OverflowError("the level or the type of ancillary data is out of range")
        control += header.pack(header.size + len(data), level, kind) + data
        control += bytes(-len(control) % pointer_size)
    return control
