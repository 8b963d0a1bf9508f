"""A Trio socket whose receives are overlapped.

`Socket` is a subclass of the class of Trio's own sockets.  So everything but receiving is
inherited, `isinstance` holds, and libraries find all that they read from a Trio socket.  It
overrides the calls that receive and those that close the handle or hand it over.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import trio

from ._arguments import buffer_size_and_flags, size_and_flags
from ._datagrams import DatagramCalls
from ._engine.choose import engine_of
from ._engine.receive import receive
from ._engine.receiver import Receiver, receiver_of
from ._engine.requests import Into, IntoFrom, bytes_from_request, bytes_request
from ._sending import SendCalls

if TYPE_CHECKING:
    from typing_extensions import Buffer

    _TrioSocket = trio.socket.SocketType
else:
    with socket.socket() as _sample:
        _TrioSocket = type(trio.socket.from_stdlib_socket(_sample))


class Socket(DatagramCalls, SendCalls, _TrioSocket):
    """A `trio.socket.SocketType` that receives by overlapped ``WSARecv``.

    `SocketFactory` creates one on every system, and `from_stdlib_socket` makes one of an existing
    socket.  `install` and `patch_trio` let Trio create them on Windows.  Everything but receiving
    is as in Trio.  Every call that receives raises

    * `OSError` as `socket.socket.recv` does: `ConnectionResetError` if the peer has reset the
      connection; if a datagram does not fit and the call returns no flags, the beginning of the
      datagram is in the attribute ``partial`` of the exception,
    * `trio.BusyResourceError` if another task is receiving on this socket,
    * `trio.ClosedResourceError` if another task closes it during the call.

    While a receive waits, arriving data goes to it and ``is_readable`` stays false.  If a call is
    cancelled, no data is lost: data that has arrived is returned by this call or by the next one.

    A buffer cannot be resized while the system may write to it.  At other times, that is between
    two receives of one call or on a socket that uses readiness, it can; if it is then too small,
    the call raises `ValueError`.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)  # type: ignore[call-arg]
        self.stdlib = sock
        self.receiver: Receiver = receiver_of(sock)
        self._was_shut_down = False  # for sending, before this object took its handle over

    @property
    def engine(self) -> str:
        """The engine in the current run, and the reason.

        ``"overlapped"``, or ``"readiness: "`` and the reason.  The first receive of a run chooses
        it; before that, and outside a run, it is ``"none yet: "`` and a sentence that says so.  For
        a closed socket it is ``"none: it is closed"``.
        """
        return engine_of(self.stdlib, self.receiver)

    @trio.lowlevel.enable_ki_protection
    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Receive up to ``buflen`` bytes.

        Args:
          buflen: the maximum number of bytes to receive.
          flags: as for `socket.socket.recv`.

        Returns:
          The bytes; ``b""`` at the end of the stream.

        Raises:
          ValueError: ``buflen`` is negative.

        Source: ``WSARecv``; for datagrams ``WSARecvFrom``.
        """
        # The usual arguments need no further check: it would cost a call.
        if not type(buflen) is type(flags) is int or flags or not 0 < buflen <= sys.maxsize:
            arguments = size_and_flags(buflen, flags)
            if arguments is None or not arguments[0]:
                return await super().recv(buflen, flags)
            buflen, flags = arguments
        data: bytes = await receive(self.stdlib, self.receiver, bytes_request(buflen, flags))
        return data

    @trio.lowlevel.enable_ki_protection
    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive up to ``nbytes`` bytes into your own buffer, without a copy.

        Args:
          buffer: a writable, contiguous buffer.  Do not resize it before this returns.
          nbytes: the maximum number of bytes to receive; 0 means the size of the buffer.
          flags: as for `socket.socket.recv_into`.

        Returns:
          The number of bytes received; 0 at the end of the stream, or if the buffer is empty.

        Raises:
          TypeError: ``buffer`` is not a writable, contiguous buffer.
          ValueError: ``nbytes`` is negative or larger than the buffer.

        Source: ``WSARecv``; for datagrams ``WSARecvFrom``.
        """
        arguments = buffer_size_and_flags(buffer, nbytes, flags)
        if arguments is None or not arguments[0]:
            return await super().recv_into(buffer, nbytes, flags)
        count: int = await receive(self.stdlib, self.receiver, Into(buffer, *arguments))
        return count

    @trio.lowlevel.enable_ki_protection
    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Receive up to ``bufsize`` bytes, and the sender's address.

        Args:
          bufsize: the maximum number of bytes to receive.
          flags: as for `socket.socket.recvfrom`.

        Returns:
          The bytes and the sender's address, as `socket.socket.recvfrom`.

        Raises:
          ValueError: ``bufsize`` is negative.

        Source: ``WSARecvFrom``; for a stream ``WSARecv``.
        """
        if not type(bufsize) is type(flags) is int or flags or not 0 <= bufsize <= sys.maxsize:
            arguments = size_and_flags(bufsize, flags)
            if arguments is None:
                return await super().recvfrom(bufsize, flags)
            bufsize, flags = arguments
        received: tuple[bytes, Any] = await receive(
            self.stdlib, self.receiver, bytes_from_request(bufsize, flags)
        )
        return received

    @trio.lowlevel.enable_ki_protection
    async def recvfrom_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Any]:
        """Receive into your own buffer, and return the sender's address.

        Args:
          buffer: a writable, contiguous buffer.  Do not resize it before this returns.
          nbytes: the maximum number of bytes to receive; 0 means the size of the buffer.
          flags: as for `socket.socket.recvfrom_into`.

        Returns:
          The number of bytes and the sender's address, as `socket.socket.recvfrom_into`.

        Raises:
          TypeError: ``buffer`` is not a writable, contiguous buffer.
          ValueError: ``nbytes`` is negative or larger than the buffer.

        Source: ``WSARecvFrom``; for a stream ``WSARecv``.
        """
        arguments = buffer_size_and_flags(buffer, nbytes, flags)
        if arguments is None:
            return await super().recvfrom_into(buffer, nbytes, flags)
        received: tuple[int, Any] = await receive(
            self.stdlib, self.receiver, IntoFrom(buffer, *arguments)
        )
        return received

    @trio.lowlevel.enable_ki_protection
    async def accept(self) -> tuple[Socket, Any]:
        """Accept a connection, as Trio's sockets do; the new socket is of this class."""
        sock, address = await super().accept()
        own = adopt(sock)
        own.receiver.made_here = True
        return own, address

    def dup(self) -> Socket:
        """Duplicate the socket; the duplicate is of this class.

        Windows lets only one of the two receive by overlapped calls, the first to receive.  The
        other one uses readiness.
        """
        return Socket(self.stdlib.dup())

    def is_readable(self) -> bool:
        """Return whether a receive would return immediately."""
        return self.receiver.pushed_back.something or super().is_readable()

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """Whether the connection was shut down for sending."""
        return self._was_shut_down or super().did_shutdown_SHUT_WR

    def shutdown(self, flag: int) -> None:
        """Shut the connection down, as `socket.socket.shutdown`."""
        super().shutdown(flag)
        # On Windows a receive that waits would go on waiting.  Repeated, it ends as a new one does.
        if flag != socket.SHUT_WR:
            self.receiver.cancel()

    def detach(self) -> int:
        """Detach the handle without closing it, and return it.

        Data that was pushed back, as by a cancelled exact receive, is lost: receive it before.

        Raises:
          trio.BusyResourceError: a task is receiving on this socket.
        """
        if self.receiver.is_waiting():
            raise trio.BusyResourceError("a task is receiving on this socket")
        return super().detach()

    @trio.lowlevel.enable_ki_protection
    def close(self) -> None:
        """Close the socket.  A task that is receiving gets `trio.ClosedResourceError`."""
        if self.stdlib.fileno() != -1:
            self.receiver.close(self.stdlib)

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def own_socket(sock: socket.socket) -> Socket:
    """Make a `Socket` of a standard library socket that nobody else has."""
    own = Socket(sock)
    own.receiver.made_here = True
    return own


def adopt(sock: trio.socket.SocketType) -> Socket:
    """Return a `Socket`: this one, or a new one that takes over its handle."""
    if isinstance(sock, Socket):
        return sock
    own = Socket(socket.socket(sock.family, sock.type, sock.proto, sock.detach()))
    own._was_shut_down = sock.did_shutdown_SHUT_WR
    return own


def from_stdlib_socket(sock: socket.socket) -> Socket:
    """Turn a standard library socket into a `Socket`, as `trio.socket.from_stdlib_socket`.

    Args:
      sock: a socket of any family and type; it becomes non-blocking.

    Raises:
      TypeError: ``sock`` is not exactly a `socket.socket`, but for instance an `ssl.SSLSocket`.
    """
    return Socket(sock)
