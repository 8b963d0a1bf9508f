"""uvicorn's HTTP protocol with TCP_NODELAY: ``uvicorn --http …:NoDelay``.

asyncio sets it only on sockets with the protocol number of TCP; those that its proactor accepts
have the number 0.
"""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol


class NoDelay(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
