"""The Winsock function itself, as a Trio program calls it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import trio

from ._engine.messages import ReceiveResult, Scattered, check_request
from ._engine.receive import receive
from ._socket import Socket
from ._winsock.buffers import writable_size
from ._winsock.calls import winsock_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer


@trio.lowlevel.enable_ki_protection
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
    buffers = list(buffers)
    flags = operator.index(flags)
    sizes = [writable_size(buffer) for buffer in buffers]
    error = check_request(flags, sizes, sock.type)
    if error is not None:
        await trio.lowlevel.checkpoint()
        raise winsock_error(error)
    return await receive(sock.stdlib, sock.receiver, Scattered(buffers, sizes, flags))
