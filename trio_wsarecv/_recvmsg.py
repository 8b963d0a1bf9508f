"""``recvmsg`` and ``recvmsg_into``, which Python does not have on Windows.

There ``WSARecvMsg`` serves datagrams.  A stream has no ancillary data, and ``WSARecv`` gives all
there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from ._arguments import message_arguments
from ._engine.messages import Message, check_request
from ._engine.receive import receive
from ._engine.requests import MAX_WAITING
from ._winsock.buffers import writable_size
from ._winsock.calls import winsock_error
from ._winsock.codes import MsgFlag, WinsockError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from ._engine.receiver import Receiver
    from ._winsock.parse import AncillaryData

ReceivedMessage: TypeAlias = "tuple[bytes, AncillaryData, int, Any]"
ReceivedMessageInto: TypeAlias = "tuple[int, AncillaryData, int, Any]"

_PEEK: Final = int(MsgFlag.MSG_PEEK)


@trio.lowlevel.enable_ki_protection
async def recvmsg(
    sock: socket.socket, receiver: Receiver, bufsize: int, ancbufsize: int, flags: int
) -> ReceivedMessage:
    """Receive a message as bytes."""
    nbytes, control_size, flags = message_arguments(bufsize, ancbufsize, flags)
    buffer = bytearray(min(nbytes, MAX_WAITING))
    count, *rest = await recvmsg_into(sock, receiver, [buffer], control_size, flags)
    return bytes(memoryview(buffer)[:count]), *rest


@trio.lowlevel.enable_ki_protection
async def recvmsg_into(
    sock: socket.socket,
    receiver: Receiver,
    buffers: Sequence[Buffer],
    ancbufsize: int,
    flags: int,
) -> ReceivedMessageInto:
    """Receive a message into several buffers."""
    try:
        sizes = [writable_size(buffer) for buffer in buffers]
    except BufferError as exc:
        raise TypeError(str(exc)) from None
    _, control_size, flags = message_arguments(0, ancbufsize, flags)
    request = Message(buffers, sizes, control_size, flags)
    request.is_message = not receiver.is_stream
    if not hasattr(sock, "recvmsg_into"):
        if not receiver.is_stream:
            error = WinsockError.WSAEOPNOTSUPP if flags & ~_PEEK else None
        elif request.room:
            error = check_request(flags, sizes, sock.type)
        else:
            # Where nothing can be received there is nothing to wait for.
            await trio.lowlevel.checkpoint()
            return 0, [], 0, None
        if error is not None:
            await trio.lowlevel.checkpoint()
            raise winsock_error(error)
    message: ReceivedMessageInto = await receive(sock, receiver, request)
    return message
