"""Datagrams with ancillary data, and many datagrams at a time.

Python has ``recvmsg`` on POSIX only.  On Windows datagrams are received by ``WSARecvMsg``; a stream
has no ancillary data there and uses ``WSARecv``.

Some filter drivers make every ``WSARecvMsg`` fail with WSAEFAULT.  If a program asks for no
ancillary data, ``WSARecvFrom`` is used instead.
"""

from __future__ import annotations

import errno
import operator
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import trio

from ._arguments import message_arguments
from ._engine.batch import Batch, Datagram, OneOfMany
from ._engine.messages import Message, MessageInto, check_request
from ._engine.receive import receive
from ._winsock import datagram
from ._winsock.buffers import writable_size
from ._winsock.calls import winsock_error
from ._winsock.codes import MsgFlag, WinsockError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Sequence

    from typing_extensions import Buffer

    from ._engine.receiver import Receiver
    from ._engine.requests import Bytes, Request
    from ._winsock.parse import AncillaryData

ReceivedMessage: TypeAlias = "tuple[bytes, AncillaryData, int, Any]"
ReceivedMessageInto: TypeAlias = "tuple[int, AncillaryData, int, Any]"

_PEEK: Final = int(MsgFlag.MSG_PEEK)

T = TypeVar("T")


class DatagramCalls:
    """The methods of a `Socket` that Python's own sockets do not have on Windows."""

    #: The standard library's socket.
    stdlib: socket.socket
    #: What is known of its receive side.
    receiver: Receiver

    @trio.lowlevel.enable_ki_protection
    async def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> ReceivedMessage:
        """Receive up to ``bufsize`` bytes, with ancillary data.

        Args:
          bufsize: the maximum number of bytes to receive.
          ancbufsize: the room for ancillary data, in bytes.
          flags: as for `socket.socket.recvmsg`; for datagrams on Windows, ``MSG_PEEK`` only.

        Returns:
          ``(data, ancdata, msg_flags, address)`` as `socket.socket.recvmsg` on POSIX; ``msg_flags``
          has ``MSG_TRUNC`` if the datagram was truncated, ``MSG_CTRUNC`` if ancillary data was.

        Raises:
          OSError: as from `Socket.recv`; WSAEOPNOTSUPP for flags that are not allowed on Windows.
          ValueError: a size is negative, or ``ancbufsize`` is larger than 1 GiB.
          OverflowError: a number is too large for the system.

        Source: ``WSARecvMsg``; for a stream ``WSARecv``.
        """
        nbytes, control_size, flags = message_arguments(bufsize, ancbufsize, flags)
        if self.receiver.is_stream:
            buffer = bytearray(nbytes)
            count, *rest = await self.recvmsg_into([buffer], control_size, flags)
            return bytes(memoryview(buffer)[:count]), *rest
        request, refusal = Message(nbytes, control_size, flags), self._refusal(flags, [nbytes])
        message: ReceivedMessage = await self._receive_message(request, control_size, refusal)
        return message

    @trio.lowlevel.enable_ki_protection
    async def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> ReceivedMessageInto:
        """Receive into your own buffers, filled in order, with ancillary data.

        Args:
          buffers: writable, contiguous buffers.  Do not resize them before this returns.
          ancbufsize: the room for ancillary data, in bytes.
          flags: as for `recvmsg`.

        Returns:
          ``(nbytes, ancdata, msg_flags, address)`` as `socket.socket.recvmsg_into` on POSIX.

        Raises:
          TypeError: a buffer is not a writable, contiguous buffer.
          OSError, ValueError, OverflowError: as from `recvmsg`.

        Source: ``WSARecvMsg``; for a stream ``WSARecv``.
        """
        buffers = list(buffers)
        try:
            sizes = [writable_size(buffer) for buffer in buffers]
        except BufferError as exc:
            raise TypeError(str(exc)) from None
        _, control_size, flags = message_arguments(0, ancbufsize, flags)
        if self.receiver.is_stream and not any(sizes) and not hasattr(self.stdlib, "recvmsg_into"):
            # There is no room for data, so there is nothing to wait for.
            await trio.lowlevel.checkpoint()
            return 0, [], 0, None
        request = MessageInto(buffers, sizes, control_size, flags)
        refusal = self._refusal(flags, sizes)
        message: ReceivedMessageInto = await self._receive_message(request, control_size, refusal)
        return message

    @trio.lowlevel.enable_ki_protection
    async def recvfrom_many(self, max_datagrams: int, bufsize: int) -> list[Datagram]:
        """Wait for one datagram, and receive it with those that have arrived already.

        Args:
          max_datagrams: the maximum number to receive.  No other task runs between the first and
              the last.
          bufsize: the maximum number of bytes to receive of each.

        Returns:
          At least one `Datagram`, a tuple ``(data, address)``, in the order of arrival.  One that
          did not fit is ``truncated``.

        Raises:
          ValueError: ``max_datagrams`` is less than 1, ``bufsize`` is negative, or the socket is
              of type ``SOCK_STREAM``.
          OverflowError: ``bufsize`` is too large for the system.

        An error after the first datagram, such as ICMP "port unreachable", ends the batch; the
        next call raises it.  If it is cancelled, no datagram is lost.  Source: ``WSARecvFrom``.
        """
        nbytes, _, _ = message_arguments(bufsize, 0, 0)
        batch = self._batch(OneOfMany(nbytes), max_datagrams)
        return await receive(self.stdlib, self.receiver, batch)

    @trio.lowlevel.enable_ki_protection
    async def recvmsg_many(
        self, max_datagrams: int, bufsize: int, ancbufsize: int = 0
    ) -> list[ReceivedMessage]:
        """Receive as `recvfrom_many`, with ancillary data.

        Args:
          max_datagrams: as for `recvfrom_many`.
          bufsize: as for `recvfrom_many`.
          ancbufsize: the room for the ancillary data of each datagram, in bytes.

        Returns:
          At least one ``(data, ancdata, msg_flags, address)``, as from `recvmsg`.

        Raises:
          ValueError, OverflowError: as from `recvfrom_many`; ``ancbufsize`` as from `recvmsg`.

        Source: ``WSARecvMsg``.
        """
        nbytes, control_size, _ = message_arguments(bufsize, ancbufsize, 0)
        batch = self._batch(Message(nbytes, control_size, 0), max_datagrams)
        messages: list[ReceivedMessage] = await self._receive_message(batch, control_size)
        return messages

    def _batch(self, one: Bytes, max_datagrams: int) -> Batch:
        most = operator.index(max_datagrams)
        if most < 1:
            raise ValueError("max_datagrams must be >= 1")
        if self.receiver.is_stream:
            raise ValueError("a stream has no datagrams")
        return Batch(one, most, self.stdlib, self.receiver)

    async def _receive_message(
        self, request: Request[T], control_size: int, refusal: WinsockError | None = None
    ) -> T:
        # By WSARecvMsg, but for a stream, and where that is known to be broken and not needed.
        if refusal is not None:
            await trio.lowlevel.checkpoint()
            raise winsock_error(refusal)
        sock, receiver = self.stdlib, self.receiver
        kind = (sock.family, sock.type, sock.proto)
        can_do_without = not control_size
        is_broken = kind in datagram.without_messages
        request.is_message = not (receiver.is_stream or (can_do_without and is_broken))
        try:
            return await receive(sock, receiver, request)
        except OSError as exc:
            may_be_broken = exc.errno == errno.EFAULT and request.is_message
            if not (may_be_broken and can_do_without):
                raise
        datagram.without_messages.add(kind)
        request.is_message = False
        return await receive(sock, receiver, request)

    def _refusal(self, flags: int, sizes: Sequence[int]) -> WinsockError | None:
        # On Windows; elsewhere the standard library's call knows best what to refuse.
        if hasattr(self.stdlib, "recvmsg_into"):
            return None
        if self.receiver.is_stream:
            return check_request(flags, sizes, self.stdlib.type)
        return WinsockError.WSAEOPNOTSUPP if flags & ~_PEEK else None

    def set_udp_connreset(self, enabled: bool) -> None:
        """Set whether receives report ICMP messages about datagrams that were sent.

        By default Windows fails the next receive, once for each "port unreachable", and for each
        "time exceeded" where a datagram has passed too many routers; the socket stays usable.  On
        other systems this does nothing.

        Args:
          enabled: True to report them, False to ignore them.

        Raises:
          OSError: the socket is closed, or Windows refuses to change it.

        Source: ``SIO_UDP_CONNRESET``, ``SIO_UDP_NETRESET``.
        """
        if sys.platform == "win32":
            datagram.set_udp_connreset(self.stdlib, enabled)
