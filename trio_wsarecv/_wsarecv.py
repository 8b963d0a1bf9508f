"""The Winsock function ``WSARecv`` as an async function."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

import trio

from ._engine.messages import ReceiveResult, Scattered, check_request
from ._engine.receive import checkpoint_at_once, receive
from ._socket import Socket
from ._winsock.buffers import writable_size
from ._winsock.calls import winsock_error
from ._winsock.codes import MsgFlag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

_PORTABLE: Final = int(MsgFlag.MSG_OOB | MsgFlag.MSG_PEEK)


@trio.lowlevel.enable_ki_protection
async def wsarecv(sock: Socket, buffers: Iterable[Buffer], flags: int = 0) -> ReceiveResult:
    """Receive into several buffers, with flags: the Winsock function ``WSARecv``.

    The buffers are filled in order; the next one is used when the one before is full.

    Args:
      sock: a connected socket, or a bound datagram socket.
      buffers: one or more writable, contiguous buffers of any size.  Do not resize them before
          this returns.
      flags: a combination of `MsgFlag.MSG_OOB`, ``MSG_PEEK``, ``MSG_WAITALL`` (receive until the
          buffers are full or the stream ends), ``MSG_PUSH_IMMEDIATE`` and ``MSG_PARTIAL``.

    Returns:
      A `ReceiveResult`.  On a stream, 0 bytes mean the end of the stream, unless all buffers
      are empty.

    Raises:
      OSError: as from `Socket.recv`; WSAEINVAL if there are no buffers, or only empty ones for a
          datagram; WSAEOPNOTSUPP for flags that the documentation of ``WSARecv`` does not allow.
      TypeError: ``sock`` is not a `Socket`, or a buffer is not writable.
      BufferError: a buffer is not contiguous.
      trio.BusyResourceError: another task is receiving on this socket.
      trio.ClosedResourceError: another task closed this socket during the call.

    If all buffers are empty, the call on a stream waits until data arrives, and leaves the data
    where it is.

    If it is cancelled, no data is lost: the next receive starts with what ``MSG_WAITALL`` had
    received so far.  Source: ``WSARecv``; for datagrams ``WSARecvFrom``.
    """
    if not isinstance(sock, Socket):
        raise TypeError(
            "wsarecv requires a trio_wsarecv.Socket: "
            "use from_stdlib_socket(), or the socket of a trio_wsarecv.SocketStream"
        )
    buffers = list(buffers)
    flags = operator.index(flags)
    sizes = [writable_size(buffer) for buffer in buffers]
    error = check_request(flags, sizes, sock.type)
    if error is not None:
        await checkpoint_at_once()
        raise winsock_error(error)
    waits_for_all = bool(flags & MsgFlag.MSG_WAITALL and any(sizes))
    # Winsock refuses MSG_WAITALL here, and other systems know only some of the other flags.
    flags &= _PORTABLE if hasattr(sock.stdlib, "recvmsg_into") else ~MsgFlag.MSG_WAITALL
    request = Scattered(buffers, sizes, flags, waits_for_all=waits_for_all)
    result: ReceiveResult = await receive(sock.stdlib, sock.receiver, request)
    return result
