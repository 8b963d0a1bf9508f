"""Trio's functions for TCP clients and servers, with `SocketStream` as the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from ._socket import adopt
from ._stream import SocketStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._socket import Socket


def _own(sock: trio.socket.SocketType) -> Socket:
    # Trio has just made it, and nobody else has it.
    own = adopt(sock)
    own.receiver.made_here = True
    return own


class SocketListener(trio.abc.Listener[SocketStream]):
    """A listening `Socket` that accepts connections as `SocketStream`.

    Args:
      socket (trio.socket.SocketType): a listening Trio socket of type ``SOCK_STREAM``.  The
          listener owns it from now on, and closes it in `aclose`.  A socket that is not a `Socket`
          hands its handle over, and counts as closed afterwards.

    Raises:
      TypeError: ``socket`` is not a Trio socket.
      ValueError: ``socket`` is not of type ``SOCK_STREAM``, or does not listen.

    Attributes:
      socket: the `Socket` that this listener uses.
    """

    socket: Socket

    def __init__(self, socket: trio.socket.SocketType) -> None:
        self._accepting = trio.SocketListener(socket)  # refuses what does not listen
        self.socket = self._accepting.socket = adopt(socket)

    async def accept(self) -> SocketStream:
        """Accept a connection.

        Raises:
          trio.ClosedResourceError: the listener is closed.
          OSError: the system has run out of a resource: see `trio.SocketListener.accept`.
        """
        stream = await self._accepting.accept()
        return SocketStream(_own(stream.socket))

    async def aclose(self) -> None:
        """Close the listening socket."""
        await self._accepting.aclose()


async def open_tcp_listeners(
    port: int, *, host: str | bytes | None = None, backlog: int | None = None
) -> list[SocketListener]:
    """Create listening sockets, as `trio.open_tcp_listeners`.

    Args:
      port: the port to listen on; 0 lets the system choose one.
      host: the local address to listen on; None means all local addresses.
      backlog: how many connections may wait to be accepted; None means Trio's default.

    Returns:
      One `SocketListener` for each address.

    Raises:
      OSError: listening on an address failed.
    """
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    return [SocketListener(_own(listener.socket)) for listener in listeners]


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
      handler: called for each connection with its `SocketStream`, in a new task.
      port: as for `open_tcp_listeners`.
      host: as for `open_tcp_listeners`.
      backlog: as for `open_tcp_listeners`.
      handler_nursery: the nursery for the handlers; None means one that belongs to this call.
      task_status: set to the list of listeners once they are listening.

    It runs until it is cancelled.

    Raises:
      OSError: it cannot listen there.
    """
    listeners = await open_tcp_listeners(port, host=host, backlog=backlog)
    await trio.serve_listeners(
        handler, listeners, handler_nursery=handler_nursery, task_status=task_status
    )


async def open_tcp_stream(host: str | bytes, port: int, **options: Any) -> SocketStream:
    """Connect to a host and port, as `trio.open_tcp_stream`.

    Args:
      host: a host name or an IP address.
      port: the port.
      options: the options of `trio.open_tcp_stream`: ``happy_eyeballs_delay``, ``local_address``.

    Returns:
      A connected `SocketStream`.

    Raises:
      OSError: every attempt to connect failed.
    """
    stream = await trio.open_tcp_stream(host, port, **options)
    return SocketStream(_own(stream.socket))
