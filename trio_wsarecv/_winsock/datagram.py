"""Operations that receive datagrams, with their sender and control messages.

``WSARecvFrom`` and ``WSARecvMsg`` write more than the data at completion: the sender's address
and its length, the control messages, and flags.  All of that belongs to the kernel as long as the
buffers do.  ``WSARecvMsg`` and ``WSASendMsg`` are functions of the provider, whose addresses
``WSAIoctl`` gives.

What Windows reports of a datagram that does not fit differs from call to call, and whether a
packet follows then is not documented.  So a datagram always has room: after the program's buffers
comes an area that all operations share and nobody reads.  The byte count shows what did not fit.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from . import calls
from .calls import NULL, ffi
from .codes import MsgFlag, WinsockError
from .operation import MIN_RECEIVE_SIZE, Operation
from .parse import STORAGE_SIZE, AncillaryData, parse_address, parse_ancillary

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .status import Mode

#: No datagram is larger than this, in bytes.
MAX_DATAGRAM: Final = 65536

#: Takes what a program's buffer has no room for: written and never read.
overflow_area: Final[Any] = ffi.new("char[]", MAX_DATAGRAM)

# Room for all control messages that Windows can be asked for, in bytes: the largest is a routing
# header of 2,048.
_MIN_CONTROL_SIZE: Final = 4096

_MESSAGE_FLAGS: Final = int(
    MsgFlag.MSG_TRUNC | MsgFlag.MSG_CTRUNC | MsgFlag.MSG_BCAST | MsgFlag.MSG_MCAST
)

# An operation's own memory is replaced if it is more than so many times too large.
_MOST_SPARE: Final = 16

_allocate = ffi.new_allocator(should_clear_after_alloc=False)

_SIO_GET_EXTENSION_FUNCTION_POINTER: Final = 0xC8000006
_SIO_UDP_CONNRESET: Final = 0x9800000C
_SIO_UDP_NETRESET: Final = 0x9800000F
_WSAID_WSARECVMSG: Final = uuid.UUID("f689d7c8-6f1f-436b-8a53-e54fe351c322").bytes_le
_WSAID_WSASENDMSG: Final = uuid.UUID("a441e712-754f-43ca-84a7-0dee44cf606d").bytes_le


class DatagramOperation(Operation):
    """One overlapped ``WSARecvFrom``."""

    is_stream = False
    _own_count = 2

    def __init__(self, handle: int, mode: Mode) -> None:
        self._name: Any = ffi.new("char[]", STORAGE_SIZE)
        self._length: Any = ffi.new("int32_t *")
        self._own: Any = None
        self._own_size = 0
        # An abandoned operation outlives this module's globals, and needs the area.
        self._overflow_area: Any = overflow_area
        super().__init__(handle, mode)
        self.memory.wsabuf[1] = {"buf": overflow_area, "len": MAX_DATAGRAM}

    def _call(
        self, buffers: tuple[object, int], received: object, overlapped: object
    ) -> Callable[[], int]:
        function, length = calls.ws2_32.WSARecvFrom, self._length
        address = (self._name, length)
        arguments = (self.handle, *buffers, received, self._flags, *address, overlapped, NULL)

        def call() -> int:
            length[0] = STORAGE_SIZE  # the call before has overwritten it
            return function(*arguments)

        return call

    def set_memory(self, nbytes: int, flags: int) -> None:
        if self.exports or self._buffers is not self._own_buffers:
            self._reset()
        nbytes = min(nbytes, MAX_DATAGRAM)
        if nbytes <= MIN_RECEIVE_SIZE:
            target = self.small
        else:
            if not nbytes <= self._own_size <= _MOST_SPARE * nbytes:
                self._own = _allocate("char[]", nbytes)
                self._own_size = nbytes
            target = self._own
        if target is not self.target or nbytes != self.room:
            self.target = self.wsabuf.buf = target
            self.wsabuf.len = self.room = nbytes
        self.memory.flags = flags

    def sender(self) -> Any:
        return parse_address(ffi.unpack(self._name, min(self._length[0], STORAGE_SIZE)))

    def message(self, flags: int, control_size: int) -> tuple[AncillaryData, int, Any]:
        return [], flags, self.sender()


class MessageOperation(DatagramOperation):
    """One overlapped ``WSARecvMsg``: ``function`` is what `wsarecvmsg_function` gives."""

    is_message = True

    def __init__(self, handle: int, mode: Mode, function: Any) -> None:
        self._function: Callable[..., int] = function
        self._message: Any = ffi.new("WSAMSG *")
        self._control: Any = ffi.new("char[]", _MIN_CONTROL_SIZE)
        super().__init__(handle, mode)

    def set_control_size(self, size: int) -> None:
        """Provide room for control messages, in bytes."""
        room = max(size, _MIN_CONTROL_SIZE)
        if not room <= len(self._control) <= _MOST_SPARE * room:
            self._control = ffi.new("char[]", room)
            self._bind(self._own_buffers)

    def _call(
        self, buffers: tuple[object, int], received: object, overlapped: object
    ) -> Callable[[], int]:
        function, message, memory = self._function, self._message, self.memory
        here = self.overlapped
        message.name = self._name
        message.lpBuffers, message.dwBufferCount = buffers
        message.Control.buf = self._control
        arguments = (self.handle, message, received, overlapped, NULL)
        size = len(self._control)

        def call() -> int:
            # The call before has overwritten these.
            message.namelen = STORAGE_SIZE
            message.Control.len = size
            message.dwFlags = memory.flags
            # A call that Winsock refuses may leave the old values.
            here.Internal = memory.received = 0
            return function(*arguments)

        return call

    def sender(self) -> Any:
        return parse_address(ffi.unpack(self._name, min(self._message.namelen, STORAGE_SIZE)))

    def message(self, flags: int, control_size: int) -> tuple[AncillaryData, int, Any]:
        flags = self._message.dwFlags & _MESSAGE_FLAGS | flags & MsgFlag.MSG_TRUNC
        size = min(self._message.Control.len, len(self._control))
        control = ffi.unpack(self._control, size)
        ancillary = parse_ancillary(control[:control_size])
        # The padding after the last message may be cut off, so messages are counted, not bytes.
        if len(control) > control_size and len(parse_ancillary(control)) > len(ancillary):
            flags |= MsgFlag.MSG_CTRUNC
        return ancillary, int(flags), self.sender()


_functions: dict[tuple[str, int, int, int], Any] = {}


def wsarecvmsg_function(sock: socket.socket) -> Any:
    """Return the provider's ``WSARecvMsg``.

    Raises:
      OSError: the provider has none.
    """
    return _extension(sock, "LPFN_WSARECVMSG", _WSAID_WSARECVMSG)


def wsasendmsg_function(sock: socket.socket) -> Any:
    """Return the provider's ``WSASendMsg``, as `wsarecvmsg_function`."""
    return _extension(sock, "LPFN_WSASENDMSG", _WSAID_WSASENDMSG)


def _extension(sock: socket.socket, kind: str, identifier: bytes) -> Any:
    key = (kind, sock.family, sock.type, sock.proto)
    if key not in _functions:
        function = ffi.new(f"{kind} *")
        _control(sock, _SIO_GET_EXTENSION_FUNCTION_POINTER, identifier, function)
        _functions[key] = function[0]
    return _functions[key]


def set_udp_connreset(sock: socket.socket, enabled: bool) -> None:
    """Set whether an ICMP "port unreachable" or "time exceeded" fails the next receive."""
    argument = int(enabled).to_bytes(4, "little")
    _control(sock, _SIO_UDP_CONNRESET, argument, NULL)
    with suppress(OSError):  # older versions of Windows do not know it
        _control(sock, _SIO_UDP_NETRESET, argument, NULL)


def _control(sock: socket.socket, code: int, argument: bytes, result: Any) -> None:
    if sock.fileno() == -1:
        raise calls.winsock_error(WinsockError.WSAENOTSOCK)
    size = 0 if result == NULL else ffi.sizeof(result[0])
    returned = ffi.new("DWORD *")
    failed = calls.ws2_32.WSAIoctl(
        *(sock.fileno(), code, ffi.from_buffer(argument), len(argument)),
        *(result, size, returned, NULL, NULL),
    )
    if failed:
        raise calls.winsock_error(calls.ws2_32.WSAGetLastError())
