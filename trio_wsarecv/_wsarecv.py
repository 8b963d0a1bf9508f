"""The Winsock function itself, as a Trio program calls it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ._scatter import ReceiveResult, receive_scattered
from ._socket import Socket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer


async def wsarecv(sock: Socket, buffers: Iterable[Buffer], flags: int = 0) -> ReceiveResult:
    """Receive into several buffers: the Winsock function ``WSARecv``.

    The buffers are filled in the order given, without holes.

    Args:
      sock: a connected socket, or a bound datagram socket.
      buffers: one or more writable, contiguous buffers, each as large as you like.  They must
          not be resized before this returns.
      flags: a combination of `MsgFlag.MSG_OOB`, ``MSG_PEEK``, ``MSG_WAITALL`` (receive until the
          buffers are full or the stream ends), ``MSG_PUSH_IMMEDIATE`` and ``MSG_PARTIAL``.

    Returns:
      A `ReceiveResult`.  On a stream, no bytes mean that it has ended, unless there was no room.

    Raises:
      OSError: as from `Socket.recv`; WSAEINVAL if there are no buffers, WSAEOPNOTSUPP for flags
          that the documentation of ``WSARecv`` rules out.
      TypeError: a buffer is not writable.
      BufferError: a buffer is not contiguous.
      trio.BusyResourceError: another task is receiving on this socket.
      trio.ClosedResourceError: another task closed this socket meanwhile.

    If buffers are given but all of them are empty, a stream is received from as soon as there is
    something to receive, which is left where it is.

    If cancelled, it has received nothing; what ``MSG_WAITALL`` had gathered by then is the
    beginning of the next receive.  Source: ``WSARecv``.
    """
    if not isinstance(sock, Socket):
        raise TypeError("wsarecv requires a trio_wsarecv socket: see from_stdlib_socket")
    return await receive_scattered(sock.stdlib, sock.receiver, list(buffers), operator.index(flags))
