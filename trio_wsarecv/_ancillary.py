"""Ancillary data: what ``WSARecvMsg`` writes into the control buffer, as Python gives it.

The buffer holds one control message after the other.  Each begins with a ``WSACMSGHDR``, whose
length counts header and data; the data and the next header begin at the next multiple of the
machine's pointer size.
"""

from __future__ import annotations

from typing import TypeAlias

from ._winsock import ffi

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
