"""Operations that tell who sent a datagram, and what came along with it.

``WSARecvFrom`` and ``WSARecvMsg`` write more than the data at completion: the sender's address
and its length, the control messages, and flags.  All of that belongs to the kernel as long as the
buffers do.  ``WSARecvMsg`` is no export of ``ws2_32.dll``; each provider gives its address out.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from . import _winsock
from ._address import STORAGE_SIZE, parse_address
from ._ancillary import AncillaryData, parse_ancillary
from ._codes import MsgFlag, WinsockError
from ._operation import Operation
from ._winsock import NULL, ffi

if TYPE_CHECKING:
    import socket

_SIO_GET_EXTENSION_FUNCTION_POINTER: Final = 0xC8000006
_SIO_UDP_CONNRESET: Final = 0x9800000C
_WSAID_WSARECVMSG: Final = uuid.UUID("f689d7c8-6f1f-436b-8a53-e54fe351c322").bytes_le


class FromOperation(Operation):
    """One overlapped ``WSARecvFrom``."""

    __slots__ = ("_length", "_name")

    def __init__(self) -> None:
        self._name = ffi.new("char[]", STORAGE_SIZE)
        self._length = ffi.new("int32_t *", STORAGE_SIZE)
        super().__init__()
        self._function = _winsock.ws2_32.WSARecvFrom

    def _call_arguments(self, received: object, overlapped: object) -> tuple[object, ...]:
        address = (self._name, self._length)
        return (*self._buffers, received, self._flags, *address, overlapped, NULL)

    def submit(self, handle: int) -> int:
        """Hand the operation to the kernel, as `Operation.submit`."""
        self._length[0] = STORAGE_SIZE
        return super().submit(handle)

    def receive_now(self, handle: int) -> int:
        """Receive what is there already, as `Operation.receive_now`."""
        self._length[0] = STORAGE_SIZE
        return super().receive_now(handle)

    def sender(self) -> Any:
        """Return the address that the completed receive came from."""
        return parse_address(ffi.unpack(self._name, self._length[0]))


class MessageOperation(Operation):
    """One overlapped ``WSARecvMsg``.

    Args:
      function: what `wsarecvmsg_function` gives for the socket.
      control_size: the size of the control buffer, in bytes.
    """

    __slots__ = ("_control", "_control_size", "_message", "_name")

    def __init__(self, function: Any, control_size: int) -> None:
        self._name = ffi.new("char[]", STORAGE_SIZE)
        self._control_size = control_size
        self._control: Any = ffi.new("char[]", control_size) if control_size else NULL
        self._message: Any = ffi.new("WSAMSG *")
        super().__init__()
        self._function = function

    def _call_arguments(self, received: object, overlapped: object) -> tuple[object, ...]:
        return (self._message, received, overlapped, NULL)

    def submit(self, handle: int) -> int:
        """Hand the operation to the kernel, as `Operation.submit`."""
        self._fill_in()
        return super().submit(handle)

    def receive_now(self, handle: int) -> int:
        """Receive what is there already, as `Operation.receive_now`."""
        self._fill_in()
        return super().receive_now(handle)

    def _fills_buffers(self) -> bool:
        # Control messages that do not fit give the same error.
        return not self.flags() & MsgFlag.MSG_CTRUNC

    def _fill_in(self) -> None:
        # The call leaves its results where it found its parameters.
        message = self._message
        message.name = self._name
        message.namelen = STORAGE_SIZE
        message.lpBuffers, message.dwBufferCount = self._buffers
        message.Control.buf = self._control
        message.Control.len = self._control_size
        message.dwFlags = self._flags[0]

    def sender(self) -> Any:
        """Return the address that the completed receive came from."""
        return parse_address(ffi.unpack(self._name, self._message.namelen))

    def ancillary_data(self) -> AncillaryData:
        """Return the control messages of the completed receive."""
        if not self._control_size:
            return []
        return parse_ancillary(ffi.unpack(self._control, self._message.Control.len))

    def flags(self) -> MsgFlag:
        """Return the flags of the completed receive."""
        return MsgFlag(self._message.dwFlags)


_functions: dict[tuple[int, int, int], Any] = {}


def wsarecvmsg_function(sock: socket.socket) -> Any:
    """Return the provider's ``WSARecvMsg``.

    Raises:
      OSError: the provider has none.
    """
    if sock.fileno() == -1:
        raise _winsock.winsock_error(WinsockError.WSAENOTSOCK)
    key = (sock.family, sock.type, sock.proto)
    if key not in _functions:
        function = ffi.new("LPFN_WSARECVMSG *")
        _control(sock, _SIO_GET_EXTENSION_FUNCTION_POINTER, _WSAID_WSARECVMSG, function)
        _functions[key] = function[0]
    return _functions[key]


def set_udp_connreset(sock: socket.socket, enabled: bool) -> None:
    """Set whether an ICMP "port unreachable" fails the next receive."""
    _control(sock, _SIO_UDP_CONNRESET, int(enabled).to_bytes(4, "little"), NULL)


def _control(sock: socket.socket, code: int, argument: bytes, result: Any) -> None:
    if sock.fileno() == -1:
        raise _winsock.winsock_error(WinsockError.WSAENOTSOCK)
    size = 0 if result == NULL else ffi.sizeof(result[0])
    returned = ffi.new("DWORD *")
    failed = _winsock.ws2_32.WSAIoctl(
        *(sock.fileno(), code, ffi.from_buffer(argument), len(argument)),
        *(result, size, returned, NULL, NULL),
    )
    if failed:
        raise _winsock.winsock_error(_winsock.ws2_32.WSAGetLastError())
