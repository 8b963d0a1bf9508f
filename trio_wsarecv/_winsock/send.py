"""Non-blocking sends: ``WSASend``, ``WSASendTo`` and ``WSASendMsg`` without an ``OVERLAPPED``.

The kernel has copied the data when the call returns, so nothing here outlives the call.

``WSASendMsg`` is for datagrams only, and some filter drivers make it fail with WSAEFAULT.  So it is
called only if there are control messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import calls
from .calls import NULL, ffi
from .codes import WinsockError
from .datagram import wsasendmsg_function

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from typing_extensions import Buffer

# The most bytes of one call: a stream can be sent in parts, and no datagram has as many.
_MAX_SEND: Final = 1 << 30


def send_nonblocking(
    sock: socket.socket, buffers: Sequence[Buffer], control: bytes, flags: int, name: bytes
) -> int:
    """Send several buffers as if they were one; return how many bytes the system has taken.

    Args:
      sock: the socket.
      buffers: contiguous buffers, which cannot be resized during the call.
      control: control messages as `lay_out_ancillary` gives them, for a datagram.
      flags: as for ``WSASend``.
      name: the ``SOCKADDR`` to send to, empty for where the socket is connected to.

    Raises:
      OSError: Winsock refuses; `BlockingIOError` if it cannot take the data yet.
    """
    handle, flags = sock.fileno(), flags & 0xFFFFFFFF  # a DWORD
    if handle == -1:
        raise calls.winsock_error(WinsockError.WSAENOTSOCK)
    count = max(len(buffers), 1)  # Winsock refuses a call without buffers
    wsabufs, sent, room, exports = ffi.new("WSABUF[]", count), ffi.new("DWORD *"), _MAX_SEND, []
    to = ffi.new("char[]", name) if name else NULL
    try:
        for wsabuf, buffer in zip(wsabufs, buffers, strict=False):
            export = ffi.from_buffer("char[]", buffer)
            exports.append(export)
            wsabuf.buf, wsabuf.len = export, min(len(export), room)
            room -= wsabuf.len
        if control:
            there = ffi.new("char[]", control)
            message = ffi.new("WSAMSG *", [to, len(name), wsabufs, count, [len(control), there]])
            failed = wsasendmsg_function(sock)(handle, message, flags, sent, NULL, NULL)
        elif name:
            to_and_length = (to, len(name))
            failed = calls.ws2_32.WSASendTo(
                *(handle, wsabufs, count, sent, flags, *to_and_length, NULL, NULL)
            )
        else:
            failed = calls.ws2_32.WSASend(handle, wsabufs, count, sent, flags, NULL, NULL)
        if failed:
            raise calls.winsock_error(calls.ws2_32.WSAGetLastError())
        return int(sent[0])
    finally:
        for export in exports:
            ffi.release(export)
