"""The standard library's socket on the model, and the package's `Socket` around that."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import trio_wsarecv
from trio_wsarecv._engine.receiver import receiver_of
from trio_wsarecv._winsock.codes import WinsockError
from trio_wsarecv._winsock.parse import lay_out_address

from .kernel import Endpoint, Kernel
from .sending import Sent

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The values of Windows.
SOL_SOCKET = 0xFFFF
SO_PROTOCOL_INFOW = 0x2005
XP1_IFS_HANDLES = 0x00020000
SIZE_OF_PROTOCOL_INFOW = 628


class SimulatedSocket:
    """What the package uses of `socket.socket`."""

    def __init__(self, kernel: Kernel, endpoint: Endpoint, family: int = socket.AF_INET) -> None:
        self._kernel = kernel
        self._endpoint = endpoint
        self._handle = kernel.open_handle(endpoint)
        self.family = family
        self.type = endpoint.kind
        self.proto = 0
        self.timeout: float | None = 0.0

    @property
    def peer(self) -> Any:
        """The endpoint, from the peer's side."""
        return self._endpoint

    def _live(self) -> Endpoint:
        if self._handle == -1:
            raise self._kernel.error(WinsockError.WSAENOTSOCK)
        return self._endpoint

    def fileno(self) -> int:
        return self._handle

    def detach(self) -> int:
        handle, self._handle = self._handle, -1
        return handle

    def close(self) -> None:
        if self._handle != -1:
            self._kernel.close_handle(self.detach())

    def __del__(self) -> None:
        if getattr(self, "_handle", -1) != -1:
            self.close()

    def dup(self) -> SimulatedSocket:
        return SimulatedSocket(self._kernel, self._live(), self.family)

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._live().blocking = timeout is None

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)

    def shutdown(self, how: int) -> None:
        self._live().shutdown(how)

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        endpoint = self._live()
        assert (level, option) == (SOL_SOCKET, SO_PROTOCOL_INFOW)
        if size < SIZE_OF_PROTOCOL_INFOW:
            raise self._kernel.error(WinsockError.WSAEFAULT)
        flags = XP1_IFS_HANDLES if endpoint.ifs_handles else 0
        info = struct.pack("<I36xI", flags, endpoint.chain_length)
        return info.ljust(SIZE_OF_PROTOCOL_INFOW, b"\0")

    def setsockopt(self, level: int, option: int, value: Any, *length: int) -> None:
        self._live()

    def recv(self, nbytes: int) -> bytes:
        self._live()
        raise AssertionError("the package receives by Winsock, except on a closed socket")

    def send(self, data: Buffer) -> int:
        return self._send("send", data)

    def sendto(self, data: Buffer, address: Any) -> int:
        lay_out_address(self.family, address)  # it refuses what the standard library refuses
        return self._send("sendto", data, address)

    def _send(self, call: str, data: Buffer, address: Any = b"") -> int:
        with memoryview(data) as view:
            if not view.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            nbytes = self._live().outgoing.take(Sent(call, bytes(view), address))
        if nbytes < 0:
            raise self._kernel.error(-nbytes)
        return nbytes


class SocketOverSimulation(trio_wsarecv.Socket):
    """The package's `Socket` around a `SimulatedSocket`.

    Trio accepts only sockets of the standard library, so it is given one first.
    """

    def __init__(self, sock: Any) -> None:
        with socket.socket() as placeholder:
            super().__init__(placeholder)
        self._sock: Any = sock
        self.stdlib = sock
        self.receiver = receiver_of(sock)

    @property
    def peer(self) -> Any:
        """The endpoint, from the peer's side."""
        return self._sock.peer

    def dup(self) -> SocketOverSimulation:
        return SocketOverSimulation(self._sock.dup())

    def is_readable(self) -> bool:
        return self.receiver.pushed_back.something or self._sock.peer.is_readable()
