"""Sending several datagrams at a time, and sending with ancillary data.

Python has ``sendmsg`` on POSIX only.  On Windows a stream is sent by ``WSASend``, a datagram with
ancillary data by ``WSASendMsg``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import trio

from ._arguments import message_arguments
from ._engine.receive import checkpoint_at_once
from ._engine.send import send, send_many
from ._winsock.calls import winsock_error
from ._winsock.codes import WinsockError
from ._winsock.parse import is_numeric, lay_out_address, lay_out_ancillary
from ._winsock.send import send_nonblocking

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from ._engine.receiver import Receiver

# The most buffers of one call: systems have a limit.
_MAX_BUFFERS: Final = 1024


class SendCalls:
    """The methods of a `Socket` that send, and that Trio's own sockets do not have on Windows."""

    #: The standard library's socket.
    stdlib: socket.socket
    #: Its receive side.
    receiver: Receiver

    @trio.lowlevel.enable_ki_protection
    async def sendto_many(self, datagrams: Iterable[tuple[Buffer, Any]]) -> int:
        """Send datagrams one after the other.

        Args:
          datagrams: each as ``(data, address)``, as `recvfrom_many` returns them.  The host is
              numeric, as in the address that a receive gives: a name is not resolved, since that
              would block.  An ``address`` of None is where the socket is connected to.

        Returns:
          How many there were.

        Raises:
          OSError: as from `socket.socket.sendto`, for the first one that cannot be sent.
          ValueError: a host is not a numeric address of the socket's family, or the socket is of
              type ``SOCK_STREAM``.
          TypeError: what `socket.socket.sendto` does not take either, or a host that is not a str.
          trio.BusyResourceError: another task is waiting to send on this socket.
          trio.ClosedResourceError: another task closed this socket during the call.

        Whatever is raised after the first check of the arguments, `trio.Cancelled` included, has
        the attribute ``sent``: how many datagrams were sent.  So the one that could not be sent is
        ``datagrams[exc.sent]``; but `ConnectionRefusedError`, on a connected socket on Linux, is
        about one that was sent earlier.  Other tasks run after every 64 datagrams.

        Source: `socket.socket.sendto`.
        """
        if self.receiver.is_stream:
            raise ValueError("a stream has no datagrams")
        return await send_many(self.stdlib, datagrams)

    @trio.lowlevel.enable_ki_protection
    async def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Send several buffers as if they were one, with ancillary data.

        Args:
          buffers: contiguous buffers.  They may be resized as soon as this returns.
          ancdata: for datagrams, control messages as ``(level, type, data)``.
          flags: as for `socket.socket.sendmsg`; on Windows ``MSG_DONTROUTE`` or, for streams,
              ``MSG_OOB``.
          address: where to send a datagram, unless the socket is connected.

        Returns:
          How many bytes were sent; of a stream this may be less than there are.

        Raises:
          OSError: as from `socket.socket.sendmsg`; WSAEOPNOTSUPP for ancillary data of a stream,
              on Windows.
          TypeError, BufferError, OverflowError: as from `socket.socket.sendmsg`.
          trio.BusyResourceError: another task is waiting to send on this socket.
          trio.ClosedResourceError: another task closed this socket during the call.

        If it is cancelled, nothing has been sent.  Source: ``WSASend``; for datagrams
        ``WSASendTo``, with ancillary data ``WSASendMsg``; on other systems Trio's own method.
        """
        if hasattr(self.stdlib, "sendmsg"):
            nbytes: int = await cast("Any", super()).sendmsg(buffers, ancdata, flags, address)
            return nbytes
        buffers = list(buffers)
        if len(buffers) > _MAX_BUFFERS:
            buffers = [b"".join(buffers)]
        control = lay_out_ancillary(ancdata)
        _, _, flags = message_arguments(0, 0, flags)
        family = self.stdlib.family
        # Trio's own `sendto` resolves the names of hosts and services, too.
        if isinstance(address, tuple) and len(address) > 1:
            host, port, *_ = address
            if not (isinstance(host, str) and isinstance(port, int) and is_numeric(family, host)):
                address = await self._resolved(*address)
        name = b"" if address is None else lay_out_address(family, address)
        if control and self.receiver.is_stream:
            await checkpoint_at_once()
            raise winsock_error(WinsockError.WSAEOPNOTSUPP)
        attempt = partial(send_nonblocking, self.stdlib, buffers, control, flags, name)
        return await send(self.stdlib, attempt)

    async def _resolved(self, host: Any, port: Any, *rest: int) -> tuple[Any, ...]:
        sock = self.stdlib
        host = "255.255.255.255" if host == "<broadcast>" else host
        found = await trio.socket.getaddrinfo(
            host or None, port, sock.family, sock.type, sock.proto
        )
        return *found[0][4][:2], *rest
