"""Receiving datagrams with ancillary data, and several datagrams at a time.

Python has ``recvmsg`` on POSIX only.  On Windows datagrams are received by ``WSARecvMsg``; a stream
has no ancillary data there and uses ``WSARecv``.
"""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from ._arguments import message_arguments
from ._engine.messages import Message, MessageInto, WholeMessage, check_request
from ._engine.receive import checkpoint_at_once, receive
from ._engine.requests import OneOfMany
from ._winsock import datagram
from ._winsock.buffers import writable_size
from ._winsock.calls import winsock_error
from ._winsock.codes import MsgFlag, WinsockError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Sequence

    from typing_extensions import Buffer

    from ._engine.receiver import Receiver
    from ._engine.requests import Datagram
    from ._winsock.parse import AncillaryData

ReceivedMessage: TypeAlias = "tuple[bytes, AncillaryData, int, Any]"
ReceivedMessageInto: TypeAlias = "tuple[int, AncillaryData, int, Any]"

_PEEK: Final = int(MsgFlag.MSG_PEEK)
_WAITALL: Final = int(MsgFlag.MSG_WAITALL)


class DatagramCalls:
    """The methods of a `Socket` that Python's own sockets do not have on Windows."""

    #: The standard library's socket.
    stdlib: socket.socket
    #: Its receive side.
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
        if self._has_nothing_to_wait_for([nbytes]):
            await self._receive_nothing()
            return b"", [], 0, None
        if refusal := self._refusal(flags, [nbytes]):
            await checkpoint_at_once()
            raise winsock_error(refusal)
        request: Message | WholeMessage
        if flags & _WAITALL and not self._has_recvmsg:
            # Not capped: it takes as many receives as it needs.
            request = WholeMessage(operator.index(bufsize), control_size, flags & ~_WAITALL)
        else:
            request = Message(nbytes, control_size, flags)
        message: ReceivedMessage = await receive(self.stdlib, self.receiver, request)
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
        if self._has_nothing_to_wait_for(sizes):
            await self._receive_nothing()
            return 0, [], 0, None
        if refusal := self._refusal(flags, sizes):
            await checkpoint_at_once()
            raise winsock_error(refusal)
        waits_for_all = False
        if not self._has_recvmsg:  # Winsock refuses this flag on a non-blocking socket
            waits_for_all, flags = bool(flags & _WAITALL and any(sizes)), flags & ~_WAITALL
        request = MessageInto(buffers, sizes, control_size, flags, waits_for_all=waits_for_all)
        message: ReceivedMessageInto = await receive(self.stdlib, self.receiver, request)
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
        most = self._most(max_datagrams)
        request = OneOfMany(nbytes)
        batch: list[Datagram] = await receive(self.stdlib, self.receiver, request, most)
        return batch

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
        most = self._most(max_datagrams)
        request = Message(nbytes, control_size, 0)
        batch: list[ReceivedMessage] = await receive(self.stdlib, self.receiver, request, most)
        return batch

    def _most(self, max_datagrams: int) -> int:
        most = operator.index(max_datagrams)
        if most < 1:
            raise ValueError("max_datagrams must be >= 1")
        if self.receiver.is_stream:
            raise ValueError("a stream has no datagrams")
        return most

    @property
    def _has_recvmsg(self) -> bool:
        # Then it is the standard library's, as off Windows, and knows best what to refuse.
        return hasattr(self.stdlib, "recvmsg_into")

    def _has_nothing_to_wait_for(self, sizes: Sequence[int]) -> bool:
        # There is no room for data.
        return self.receiver.is_stream and not any(sizes) and not self._has_recvmsg

    async def _receive_nothing(self) -> None:
        await checkpoint_at_once()
        if self.stdlib.fileno() == -1:
            raise winsock_error(WinsockError.WSAENOTSOCK)

    def _refusal(self, flags: int, sizes: Sequence[int]) -> WinsockError | None:
        # Returns the error of a call that Windows does not allow.
        if self._has_recvmsg:
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
