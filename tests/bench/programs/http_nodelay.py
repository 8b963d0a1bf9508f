"""uvicorn's HTTP protocol with TCP_NODELAY: ``uvicorn --http …:NoDelay``.

On Windows asyncio leaves it out: it sets it on sockets whose protocol number is that of TCP, and
those that its proactor accepts connections with have none.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


class NoDelay(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
