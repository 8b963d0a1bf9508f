"""Trio's functions for TCP clients and servers, giving `SocketStream`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import trio

from ._socket import Socket, own_socket
from ._stream import SocketStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def _adopt(trio_socket: trio.socket.SocketType) -> Socket:
    # Trio's own socket hands its handle over; nothing has been received on it yet.
    if isinstance(trio_socket, Socket):
        return trio_socket
    family, kind, protocol = trio_socket.family, trio_socket.type, trio_socket.proto
    return own_socket(socket.socket(family, kind, protocol, trio_socket.detach()))


class SocketListener(trio.abc.Listener[SocketStream]):
    """A listening `Socket` that accepts connections as `SocketStream`.

    Args:
      socket: a `Socket` of type ``SOCK_STREAM`` that listens; the listener closes it in the end.

    Raises:
      TypeError: ``socket`` is not a `Socket`.
      ValueError: ``socket`` is not of type ``SOCK_STREAM``, or does not listen.
    """

    #: The `Socket` that this listener wraps.
    socket: Socket

    def __init__(self, socket: Socket) -> None:
        if not isinstance(socket, Socket):
            raise TypeError("SocketListener requires a trio_wsarecv socket: see from_stdlib_socket")
        self._accepting = trio.SocketListener(socket)
        self.socket = socket

    async def accept(self) -> SocketStream:
        """Accept a connection.

        Raises:
          trio.ClosedResourceError: the listener has been closed.
          OSError: the system is out of something, as `trio.SocketListener.accept` explains.
        """
        stream = await self._accepting.accept()
        return SocketStream(_adopt(stream.socket))

    async def aclose(self) -> None:
        """Close the listening socket."""
        await self._accepting.aclose()


async def open_tcp_listeners(
    port: int, *, host: str | bytes | None = None, backlog: int | None = None
) -> list[SocketListener]:
    """Create listening sockets, as `trio.open_tcp_listeners`.

    Args:
      port: the port to listen on; 0 lets the system choose.
      host: the local address to listen on; None means all of them.
      backlog: how many connections may wait to be accepted; None leaves that to Trio.

    Returns:
      A `SocketListener` for each address.

    Raises:
      OSError: an address cannot be listened on.
    """
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    return [SocketListener(_adopt(listener.socket)) for listener in listeners]


async def serve_tcp(
    handler: Callable[[SocketStream], Awaitable[object]],
    port: int,
    *,
    host: str | bytes | None = None,
    backlog: int | None = None,
    handler_nursery: trio.Nursery | None = None,
    task_status: trio.TaskStatus[list[SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen for connections and run ``handler(stream)`` for each, as `trio.serve_tcp`.

    Args:
      handler: called with a `SocketStream` in a task of its own.
      port: as for `open_tcp_listeners`.
      host: as for `open_tcp_listeners`.
      backlog: as for `open_tcp_listeners`.
      handler_nursery: where the handlers run; None means in one of the server's own.
      task_status: started with the list of listeners.

    It returns only by being cancelled.
    """
    listeners = await open_tcp_listeners(port, host=host, backlog=backlog)
    await trio.serve_listeners(
        handler, listeners, handler_nursery=handler_nursery, task_status=task_status
    )


async def open_tcp_stream(host: str | bytes, port: int, **options: Any) -> SocketStream:
    """Connect to a host and port, as `trio.open_tcp_stream`, whose options it takes.

    Args:
      host: a name or an address.
      port: the port.
      options: ``happy_eyeballs_delay`` and ``local_address``.

    Returns:
      A connected `SocketStream`.

    Raises:
      OSError: no connection could be made.
    """
    stream = await trio.open_tcp_stream(host, port, **options)
    return SocketStream(_adopt(stream.socket))
