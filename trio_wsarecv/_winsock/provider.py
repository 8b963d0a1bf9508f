"""The Winsock provider behind a socket.

A provider may be a chain: layers that other software has installed on top of the system's own.  Its
description tells whether its socket handles are file system (IFS) handles.  Only then does an
overlapped receive certainly end in exactly one packet.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import socket

# Windows' values; other systems have others.
_SOL_SOCKET: Final = 0xFFFF
_SO_PROTOCOL_INFOW: Final = 0x2005
_XP1_IFS_HANDLES: Final = 0x00020000

# WSAPROTOCOL_INFOW: the fields in use, and its size.
_SERVICE_FLAGS: Final = struct.Struct("<I")
_CHAIN: Final = struct.Struct("<36xI I")
_NAME_OFFSET: Final = 116
_SIZE: Final = 628


class Provider(NamedTuple):
    """The provider of a socket.

    Attributes:
      name: its own name for itself.
      catalog_entry: its number in the Winsock catalog.
      chain_length: 1 for a provider by itself, more for a chain, 0 for a layer.
      has_ifs_handles: whether its socket handles are file system handles.
    """

    name: str
    catalog_entry: int
    chain_length: int
    has_ifs_handles: bool


def provider_of(sock: socket.socket) -> Provider:
    """Return the provider of a socket, on Windows (``SO_PROTOCOL_INFOW``)."""
    return parse_provider(sock.getsockopt(_SOL_SOCKET, _SO_PROTOCOL_INFOW, _SIZE))


def parse_provider(info: bytes) -> Provider:
    """Return the provider that a ``WSAPROTOCOL_INFOW`` describes."""
    (service_flags,) = _SERVICE_FLAGS.unpack_from(info)
    catalog_entry, chain_length = _CHAIN.unpack_from(info)
    name, _, _ = info[_NAME_OFFSET:].decode("utf-16le", "replace").partition("\0")
    return Provider(name, catalog_entry, chain_length, bool(service_flags & _XP1_IFS_HANDLES))
