"""A Trio socket whose receives are overlapped.

`Socket` is a subclass of the class that Trio's own sockets have, so that everything but receiving
is inherited, `isinstance` holds, and whatever a library reads of a Trio socket is there.  It takes
over the calls that receive and those that end the life of the handle.

Arguments that are out of the ordinary (nothing to receive, sizes that are not integers, buffers
that cannot be received into) go to the standard library's own call, which knows best what to do
with them or what to raise.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from . import _readiness
from ._buffers import writable_size
from ._datagram import set_udp_connreset
from ._messages import receive_from, receive_from_into, receive_message, receive_message_into
from ._receive import receive_bytes, receive_into
from ._receiver import Receiver, receiver_of
from ._statistics import Counters

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Buffer

    from ._ancillary import AncillaryData

    _TrioSocket = trio.socket.SocketType
else:
    with socket.socket() as _sample:
        _TrioSocket = type(trio.socket.from_stdlib_socket(_sample))


def _ordinary(size: object, flags: object) -> bool:
    return (
        isinstance(size, int)
        and isinstance(flags, int)
        and 0 <= size <= sys.maxsize
        and 0 <= flags <= 0x7FFFFFFF
    )


def _size_of(buffer: Buffer) -> int:
    try:
        return writable_size(buffer)
    except (TypeError, BufferError):
        return 0


class Socket(_TrioSocket):
    """A `trio.socket.SocketType` that receives by overlapped ``WSARecv``.

    Make one with `from_stdlib_socket`, or let `install` or `patch_trio` have Trio make them.
    Everything but receiving is as in Trio.  One task at a time may receive; another gets
    `trio.BusyResourceError`.

    While a receive waits, it is the first to get what arrives: ``is_readable`` is false then,
    and a buffer that is being received into cannot be resized.  Data that was on its way when
    a receive was cancelled is returned by that receive, or by the next one.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)  # type: ignore[call-arg]
        self.stdlib = sock
        self.receiver: Receiver = receiver_of(sock)

    @trio.lowlevel.enable_ki_protection
    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Receive up to ``buflen`` bytes.

        Args:
          buflen: the most to receive, in bytes.
          flags: as for `socket.socket.recv`.

        Returns:
          The bytes; ``b""`` at the end of the stream.

        Raises:
          OSError: as from `socket.socket.recv`; `ConnectionResetError` if the peer has reset
              the connection.  If a datagram is larger than ``buflen``, its beginning is in the
              exception's attribute ``partial``.
          trio.BusyResourceError: another task is receiving on this socket.
          trio.ClosedResourceError: another task closed this socket meanwhile.

        If cancelled, it has received nothing.  Source: ``WSARecv``.
        """
        if buflen and _ordinary(buflen, flags):
            return await receive_bytes(self.stdlib, self.receiver, buflen, flags)
        return await _readiness.perform(self.stdlib, partial(self.stdlib.recv, buflen, flags))

    @trio.lowlevel.enable_ki_protection
    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive up to ``nbytes`` bytes into a buffer of yours, without a copy.

        Args:
          buffer: a writable, contiguous buffer.  It must not be resized before this returns.
          nbytes: the most to receive, in bytes; 0 means as many as the buffer holds.
          flags: as for `socket.socket.recv_into`.

        Returns:
          The number of bytes received; 0 at the end of the stream, or if there is no room.

        It raises the same as `recv`.

        If cancelled, it has received nothing.  Source: ``WSARecv``.
        """
        size = _size_of(buffer)
        if size and _ordinary(nbytes, flags) and nbytes <= size:
            nbytes = nbytes or size
            return await receive_into(self.stdlib, self.receiver, buffer, nbytes, flags)
        return await _readiness.perform(
            self.stdlib, partial(self.stdlib.recv_into, buffer, nbytes, flags)
        )

    @trio.lowlevel.enable_ki_protection
    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Receive up to ``bufsize`` bytes, and the address that they came from.

        Args:
          bufsize: the most to receive, in bytes.
          flags: as for `socket.socket.recvfrom`.

        Returns:
          The bytes and the sender's address, as `socket.socket.recvfrom`.

        It raises the same as `recv`.

        If cancelled, it has received nothing.  Source: ``WSARecvFrom``.
        """
        if bufsize and _ordinary(bufsize, flags):
            return await receive_from(self.stdlib, self.receiver, bufsize, flags)
        return await _readiness.perform(self.stdlib, partial(self.stdlib.recvfrom, bufsize, flags))

    @trio.lowlevel.enable_ki_protection
    async def recvfrom_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Any]:
        """Receive into a buffer of yours, and tell the address that the bytes came from.

        Args:
          buffer: a writable, contiguous buffer.  It must not be resized before this returns.
          nbytes: the most to receive, in bytes; 0 means as many as the buffer holds.
          flags: as for `socket.socket.recvfrom_into`.

        Returns:
          The number of bytes and the sender's address, as `socket.socket.recvfrom_into`.

        It raises the same as `recv`.

        If cancelled, it has received nothing.  Source: ``WSARecvFrom``.
        """
        size = _size_of(buffer)
        if size and _ordinary(nbytes, flags) and nbytes <= size:
            nbytes = nbytes or size
            return await receive_from_into(self.stdlib, self.receiver, buffer, nbytes, flags)
        return await _readiness.perform(
            self.stdlib, partial(self.stdlib.recvfrom_into, buffer, nbytes, flags)
        )

    @trio.lowlevel.enable_ki_protection
    async def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, AncillaryData, int, Any]:
        """Receive up to ``bufsize`` bytes and the ancillary data that comes with them.

        Args:
          bufsize: the most to receive, in bytes.
          ancbufsize: how much room there is for ancillary data, in bytes.
          flags: as for `socket.socket.recvmsg`; for datagrams on Windows, ``MSG_PEEK`` only.

        Returns:
          ``(data, ancdata, msg_flags, address)`` as `socket.socket.recvmsg` on POSIX; ``ancdata``
          is a list of ``(cmsg_level, cmsg_type, cmsg_data)``, and ``msg_flags`` has
          ``MSG_TRUNC`` if the datagram, ``MSG_CTRUNC`` if the ancillary data was cut off.

        It raises the same as `recv`, but not for a datagram that was cut off, and `ValueError`
        for a negative size.

        If cancelled, it has received nothing.  Source: ``WSARecvMsg``; for a stream ``WSARecv``.
        """
        return await receive_message(self.stdlib, self.receiver, bufsize, ancbufsize, flags)

    @trio.lowlevel.enable_ki_protection
    async def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, AncillaryData, int, Any]:
        """Receive into buffers of yours, one after the other, and ancillary data with it.

        Args:
          buffers: writable, contiguous buffers.  They must not be resized before this returns.
          ancbufsize: how much room there is for ancillary data, in bytes.
          flags: as for `recvmsg`.

        Returns:
          ``(nbytes, ancdata, msg_flags, address)`` as `socket.socket.recvmsg_into` on POSIX.

        It raises the same as `recvmsg`.

        If cancelled, it has received nothing.  Source: ``WSARecvMsg``; for a stream ``WSARecv``.
        """
        return await receive_message_into(
            self.stdlib, self.receiver, list(buffers), ancbufsize, flags
        )

    def set_udp_connreset(self, enabled: bool) -> None:
        """Set whether a datagram socket reports that something it sent met no receiver.

        By default Windows fails the next receive with `ConnectionResetError`, once for each ICMP
        message "port unreachable"; the socket stays usable.  Off Windows this does nothing, as a
        socket that is not connected reports nothing there.

        Source: ``SIO_UDP_CONNRESET``.
        """
        if sys.platform == "win32":
            set_udp_connreset(self.stdlib, enabled)

    async def accept(self) -> tuple[Socket, Any]:
        """Accept a connection, as Trio's sockets do; the new socket is of this class."""
        uncounted = Counters()
        sock, address = await _readiness.perform(self.stdlib, self.stdlib.accept, uncounted)
        return Socket(sock), address

    def dup(self) -> Socket:
        """Duplicate the socket; the duplicate is of this class, and received on by readiness."""
        return Socket(self.stdlib.dup())

    def is_readable(self) -> bool:
        """Tell whether a receive would return at once."""
        return bool(self.receiver.kept) or super().is_readable()

    def shutdown(self, flag: int) -> None:
        """Shut the connection down, as `socket.socket.shutdown`.

        Windows leaves a receive that waits waiting.  It is given up here and asked for again, so
        that it ends as one would that began now.
        """
        super().shutdown(flag)
        if flag != socket.SHUT_WR:
            self.receiver.cancel()

    def detach(self) -> int:
        """Give up the handle without closing it.

        Returns:
          The handle.  Bytes that a cancelled receive of an exact size has left stay behind.

        Raises:
          trio.BusyResourceError: a task is receiving on this socket.
        """
        self.receiver.check_free()
        return super().detach()

    def close(self) -> None:
        """Close the socket.

        A task that is receiving on it gets `trio.ClosedResourceError`, and the peer the end of
        the stream.
        """
        if self.stdlib.fileno() != -1:
            self.receiver.close(self.stdlib)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def from_stdlib_socket(sock: socket.socket) -> Socket:
    """Turn a standard library socket into a `Socket`, as `trio.socket.from_stdlib_socket`.

    Args:
      sock: a socket of any family and type; it becomes non-blocking.

    Raises:
      TypeError: it is not exactly a `socket.socket` (an `ssl.SSLSocket` is not, for one).
    """
    return Socket(sock)
