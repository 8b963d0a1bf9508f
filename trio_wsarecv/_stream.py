"""Streams over `Socket`: Trio's sending half, and a receiving half with more to offer."""

from __future__ import annotations

import errno
import operator
from typing import TYPE_CHECKING, Any, Final

import trio

from ._engine.memory import MAX_RECEIVE_SIZE
from ._engine.receive import receive
from ._engine.requests import ExactBytes, Exactly, Into, bytes_request
from ._socket import Socket
from ._winsock.buffers import writable_size
from ._winsock.operation import MAX_RECEIVE

if TYPE_CHECKING:
    from typing_extensions import Buffer

# What a call on a closed socket gives: POSIX's code, and Winsock's.
_CLOSED: Final = frozenset({errno.EBADF, errno.ENOTSOCK})


def stream_error(error: OSError) -> Exception:
    """Return the error of a Trio stream for the error of its socket."""
    if error.errno in _CLOSED:
        return trio.ClosedResourceError("this socket was already closed")
    return trio.BrokenResourceError(f"socket connection broken: {error}")


class IncompleteReceiveError(EOFError):
    """The stream ended inside a receive of an exact size.

    Attributes:
      partial: the bytes that came before the end.
      expected: how many bytes were asked for.
    """

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(f"the stream ended after {len(partial)} of {expected} bytes")
        self.partial = partial
        self.expected = expected

    def __reduce__(self) -> tuple[type[IncompleteReceiveError], tuple[bytes, int]]:
        return type(self), (self.partial, self.expected)


class SocketStream(trio.abc.HalfCloseableStream):
    """A connected `Socket` as a `trio.abc.HalfCloseableStream`.

    It does what `trio.SocketStream` does, ``TCP_NODELAY`` included, and receives in more ways:
    into your own buffer, and an exact number of bytes.

    Args:
      socket: a connected `Socket` of type ``SOCK_STREAM``; the stream closes it in the end.

    Raises:
      TypeError: ``socket`` is not a `Socket`.
      ValueError: ``socket`` is not of type ``SOCK_STREAM``.

    Every call that receives raises

    * `trio.BusyResourceError` if another task is receiving on the same socket,
    * `trio.ClosedResourceError` if the stream has been closed, or is closed meanwhile,
    * `trio.BrokenResourceError` if anything else is wrong with the connection; its
      ``__cause__`` is the socket's own `OSError`.
    """

    #: The `Socket` that this stream wraps.
    socket: Socket

    def __init__(self, socket: Socket) -> None:
        if not isinstance(socket, Socket):
            raise TypeError("SocketStream requires a trio_wsarecv socket: see from_stdlib_socket")
        self._sending = trio.SocketStream(socket)
        self.socket = socket

    @trio.lowlevel.enable_ki_protection
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what there is, waiting until there is something.

        Args:
          max_bytes: the most to receive, in bytes; None leaves it to the stream, which asks for
              more while the connection has more to give.

        Returns:
          At least one byte; ``b""`` at the end of the stream.

        Raises:
          ValueError: ``max_bytes`` is less than 1.

        If cancelled, it has received nothing.  Source: ``WSARecv``.
        """
        if max_bytes is None:
            max_bytes = MAX_RECEIVE_SIZE
        else:
            max_bytes = operator.index(max_bytes)
            if max_bytes < 1:
                raise ValueError("max_bytes must be >= 1")
            max_bytes = min(max_bytes, MAX_RECEIVE)
        sock = self.socket
        try:
            return await receive(sock.stdlib, sock.receiver, bytes_request(max_bytes))
        except OSError as exc:
            raise stream_error(exc) from exc

    @trio.lowlevel.enable_ki_protection
    async def receive_into(self, buffer: Buffer, nbytes: int = 0) -> int:
        """Receive what there is into a buffer of yours, without a copy.

        Args:
          buffer: a writable, contiguous buffer.  It must not be resized before this returns.
          nbytes: the most to receive, in bytes; 0 means as many as the buffer holds.

        Returns:
          The number of bytes received; 0 at the end of the stream, or if there is no room.

        Raises:
          TypeError: ``buffer`` is not a writable buffer.
          BufferError: ``buffer`` is not contiguous.
          ValueError: ``nbytes`` is negative, or more than the buffer holds.

        If cancelled, it has received nothing.  Source: ``WSARecv``.
        """
        size = writable_size(buffer)
        nbytes = operator.index(nbytes)
        if not 0 <= nbytes <= size:
            raise ValueError("nbytes must not be negative, or more than the buffer holds")
        if not size:
            await trio.lowlevel.checkpoint()
            return 0
        sock = self.socket
        try:
            return await receive(sock.stdlib, sock.receiver, Into(buffer, nbytes or size))
        except OSError as exc:
            raise stream_error(exc) from exc

    @trio.lowlevel.enable_ki_protection
    async def receive_exactly(self, nbytes: int) -> bytes:
        """Receive so many bytes, neither less nor more.

        Args:
          nbytes: how many bytes to receive.

        Returns:
          ``nbytes`` bytes.

        Raises:
          IncompleteReceiveError: the stream ended before.
          ValueError: ``nbytes`` is negative.

        If cancelled, it has received nothing: the next receive, of whatever kind, begins with the
        bytes that had come.  So it is if the connection breaks.  Source: ``WSARecv``.
        """
        nbytes = operator.index(nbytes)
        if nbytes < 0:
            raise ValueError("nbytes must not be negative")
        request = ExactBytes(nbytes)
        await self._fill(request, nbytes)
        return request.received()

    @trio.lowlevel.enable_ki_protection
    async def receive_exactly_into(self, buffer: Buffer) -> None:
        """Receive until a buffer of yours is full, without a copy.

        Args:
          buffer: a writable, contiguous buffer.  It must not be resized before this returns.

        Raises:
          IncompleteReceiveError: the stream ended before.
          TypeError: ``buffer`` is not a writable buffer.
          BufferError: ``buffer`` is not contiguous.

        If cancelled, it has received nothing: the next receive, of whatever kind, begins with the
        bytes that had come, whatever the buffer holds of them.  So it is if the connection
        breaks.  Source: ``WSARecv``.
        """
        nbytes = writable_size(buffer)
        await self._fill(Exactly(buffer, nbytes), nbytes)

    @trio.lowlevel.enable_ki_protection
    async def _fill(self, request: Exactly, nbytes: int) -> None:
        if not nbytes:
            await trio.lowlevel.checkpoint()
            return
        sock = self.socket
        try:
            received = await receive(sock.stdlib, sock.receiver, request)
        except OSError as exc:
            raise stream_error(exc) from exc
        if received < nbytes:
            raise IncompleteReceiveError(request.received(), nbytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of the data, as `trio.abc.SendStream.send_all`."""
        await self._sending.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until sending might not block, as `trio.abc.SendStream`'s method."""
        await self._sending.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Send the end of the stream, as `trio.abc.HalfCloseableStream.send_eof`."""
        await self._sending.send_eof()

    async def aclose(self) -> None:
        """Close the socket; a task that is receiving gets `trio.ClosedResourceError`."""
        await self._sending.aclose()

    def setsockopt(self, level: int, option: int, value: Any, *length: int) -> None:
        """Set an option of the socket, as `socket.socket.setsockopt`."""
        self.socket.setsockopt(level, option, value, *length)

    def getsockopt(self, level: int, option: int, *buffersize: int) -> Any:
        """Return an option of the socket, as `socket.socket.getsockopt`."""
        return self.socket.getsockopt(level, option, *buffersize)
