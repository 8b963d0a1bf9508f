"""Streams over `Socket`: sending is Trio's, receiving is by overlapped ``WSARecv``."""

from __future__ import annotations

import errno
import operator
from typing import TYPE_CHECKING, Any, Final

import trio

from ._engine.exact import ExactBytes, Exactly
from ._engine.memory import MAX_RECEIVE_SIZE
from ._engine.receive import checkpoint_at_once, receive
from ._engine.requests import Into, bytes_request
from ._socket import Socket, adopt
from ._winsock.buffers import writable_size

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The error of a call on a closed socket, on POSIX and from Winsock.
_CLOSED: Final = frozenset({errno.EBADF, errno.ENOTSOCK})


def stream_error(error: OSError) -> Exception:
    """Return the error of a Trio stream for the error of its socket."""
    if error.errno in _CLOSED:
        return trio.ClosedResourceError("this socket was already closed")
    return trio.BrokenResourceError(f"socket connection broken: {error}")


class SocketStream(trio.abc.HalfCloseableStream):
    """A connected `Socket` as a `trio.abc.HalfCloseableStream`.

    It does what `trio.SocketStream` does, including setting ``TCP_NODELAY``.  In addition, it
    receives into your own buffer, and receives an exact number of bytes.

    Args:
      socket (trio.socket.SocketType): a connected Trio socket of type ``SOCK_STREAM``, for
          instance the ``socket`` of a `trio.SocketStream`.  The stream owns it from now on, and
          closes it in `aclose`.  A socket that is not a `Socket` hands its handle over, and counts
          as closed afterwards.

    Raises:
      TypeError: ``socket`` is not a Trio socket.
      ValueError: ``socket`` is not of type ``SOCK_STREAM``.

    Attributes:
      socket: the `Socket` that this stream uses.

    Every call that receives raises

    * `trio.BusyResourceError` if another task is receiving on the same socket,
    * `trio.ClosedResourceError` if the stream is closed, before the call or during it,
    * `trio.BrokenResourceError` for any other error of the connection; its ``__cause__`` is the
      socket's `OSError`.
    """

    socket: Socket

    def __init__(self, socket: trio.socket.SocketType) -> None:
        self._sending = trio.SocketStream(socket)  # refuses what cannot be a stream
        self.socket = self._sending.socket = adopt(socket)

    @trio.lowlevel.enable_ki_protection
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for data and receive it.

        Args:
          max_bytes: the maximum number of bytes to receive.  None lets the stream choose: it
              starts small, and asks for more as long as more data is waiting.

        Returns:
          At least one byte; ``b""`` at the end of the stream.

        Raises:
          ValueError: ``max_bytes`` is less than 1.

        If it is cancelled, no data is lost.  Source: ``WSARecv``.
        """
        if max_bytes is None:
            max_bytes = MAX_RECEIVE_SIZE
        else:
            max_bytes = operator.index(max_bytes)
            if max_bytes < 1:
                raise ValueError("max_bytes must be >= 1")
        sock = self.socket
        try:
            data: bytes = await receive(sock.stdlib, sock.receiver, bytes_request(max_bytes))
        except OSError as exc:
            raise stream_error(exc) from exc
        return data

    @trio.lowlevel.enable_ki_protection
    async def receive_into(self, buffer: Buffer, nbytes: int = 0) -> int:
        """Wait for data and receive it into your own buffer, without a copy.

        Args:
          buffer: a writable, contiguous buffer.  Do not resize it before this returns.
          nbytes: the maximum number of bytes to receive; 0 means the size of the buffer.

        Returns:
          The number of bytes received; 0 at the end of the stream, or if the buffer is empty.

        Raises:
          TypeError: ``buffer`` is not a writable buffer.
          BufferError: ``buffer`` is not contiguous.
          ValueError: ``nbytes`` is negative or larger than the buffer.

        If it is cancelled, no data is lost.  Source: ``WSARecv``.
        """
        size = writable_size(buffer)
        nbytes = operator.index(nbytes)
        if not 0 <= nbytes <= size:
            raise ValueError("nbytes must not be negative or larger than the buffer")
        if not size:
            await self._receive_nothing()
            return 0
        sock = self.socket
        try:
            count: int = await receive(sock.stdlib, sock.receiver, Into(buffer, nbytes or size))
        except OSError as exc:
            raise stream_error(exc) from exc
        return count

    @trio.lowlevel.enable_ki_protection
    async def receive_exactly(self, nbytes: int) -> bytes:
        """Receive exactly ``nbytes`` bytes.

        Args:
          nbytes: the number of bytes to receive.

        Returns:
          ``nbytes`` bytes.

        Raises:
          IncompleteReceiveError: the stream ended before that.
          ValueError: ``nbytes`` is negative.

        If it is cancelled, or the connection breaks, no data is lost: the next receive, of any
        kind, starts with the bytes that had arrived.  Source: ``WSARecv``.
        """
        nbytes = operator.index(nbytes)
        if nbytes < 0:
            raise ValueError("nbytes must not be negative")
        if not nbytes:
            await self._receive_nothing()
            return b""
        sock = self.socket
        try:
            data: bytes = await receive(sock.stdlib, sock.receiver, ExactBytes(nbytes))
        except OSError as exc:
            raise stream_error(exc) from exc
        return data

    @trio.lowlevel.enable_ki_protection
    async def receive_exactly_into(self, buffer: Buffer) -> None:
        """Receive until your own buffer is full, without a copy.

        Args:
          buffer: a writable, contiguous buffer.  Do not resize it before this returns.

        Raises:
          IncompleteReceiveError: the stream ended before that.
          TypeError: ``buffer`` is not a writable buffer.
          BufferError: ``buffer`` is not contiguous.

        If it is cancelled, or the connection breaks, no data is lost: the next receive, of any
        kind, starts with the bytes that had arrived, even if the buffer holds some of them.
        Source: ``WSARecv``.
        """
        nbytes = writable_size(buffer)
        if not nbytes:
            await self._receive_nothing()
            return
        sock = self.socket
        try:
            await receive(sock.stdlib, sock.receiver, Exactly(buffer, nbytes))
        except OSError as exc:
            raise stream_error(exc) from exc

    async def _receive_nothing(self) -> None:
        await checkpoint_at_once()
        if self.socket.fileno() == -1:
            raise trio.ClosedResourceError("this socket was already closed")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of the data, as `trio.abc.SendStream.send_all`."""
        await self._sending.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until sending might not block: as in `trio.abc.SendStream`."""
        await self._sending.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Close the sending side, as `trio.abc.HalfCloseableStream.send_eof`."""
        await self._sending.send_eof()

    async def aclose(self) -> None:
        """Close the socket.  A task that is receiving gets `trio.ClosedResourceError`."""
        await self._sending.aclose()

    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        """Set a socket option, as `socket.socket.setsockopt`."""
        self._sending.setsockopt(level, option, value, length)  # type: ignore[arg-type]

    def getsockopt(self, level: int, option: int, buffersize: int = 0) -> Any:
        """Return a socket option, as `socket.socket.getsockopt`."""
        return self._sending.getsockopt(level, option, buffersize)
