"""What tests of receiving share: the calls by name, the address of a sender, and error codes."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from trio_wsarecv import Socket, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.operation import Operation

Receive = Callable[[Socket], Awaitable[Any]]

on_windows = sys.platform == "win32"

#: Every way in which a socket receives, each with room for 100 bytes.
RECEIVES: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(100),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "recvfrom": lambda sock: sock.recvfrom(100),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(100)),
    "recvmsg": lambda sock: sock.recvmsg(100, 100),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(50), bytearray(50)], 100),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(50), bytearray(50)]),
}
every_receive = pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
#: Every way in which a stream receives: those, and the methods of `SocketStream`.
STREAM_RECEIVES: dict[str, Receive] = {
    **RECEIVES,
    "receive_some": lambda sock: SocketStream(sock).receive_some(),
    "receive_some(100)": lambda sock: SocketStream(sock).receive_some(100),
    "receive_into": lambda sock: SocketStream(sock).receive_into(bytearray(100)),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(100),
    "receive_exactly_into": lambda sock: SocketStream(sock).receive_exactly_into(bytearray(100)),
}


async def call(sock: Any, name: str, *arguments: Any) -> Any:
    """Call `wsarecv`, a method of a socket, or a method of a stream on it, by its name."""
    if name == "wsarecv":
        return await wsarecv(sock, *arguments)
    target = sock if hasattr(sock, name) else SocketStream(sock)
    return await getattr(target, name)(*arguments)


def result_of(method: str, data: bytes, address: Any = None) -> Any:
    """Return what a receive of `RECEIVES` gives for some bytes.

    Args:
      method: its name.
      data: the bytes.
      address: of the sender of a datagram; None for a stream.
    """
    nbytes = len(data)
    sender = NO_SENDER if address is None else address  # these calls give one for a stream, too
    results: dict[str, Any] = {
        "recv": data,
        "recv_into": nbytes,
        "recvfrom": (data, sender),
        "recvfrom_into": (nbytes, sender),
        "recvmsg": (data, [], 0, address),
        "recvmsg_into": (nbytes, [], 0, address),
        "wsarecv": (nbytes, 0),
    }
    return results[method]


#: What Winsock's calls give as the sender of a stream's bytes.
NO_SENDER = (0, bytes(14))
#: A ``SOCKADDR_IN``, and what Python makes of it.
SENDER = b"\x02\x00\x1f\x90\x7f\x00\x00\x01" + bytes(8)
SENDER_ADDRESS = ("127.0.0.1", 8080)


class AfterFirstStep(trio.abc.Instrument):
    """Calls a function after the next step of a task: the given one, or the next one spawned.

    Attributes:
      steps: how often the task has run.
    """

    def __init__(
        self, action: Callable[[], object], task: trio.lowlevel.Task | None = None
    ) -> None:
        self.steps = 0
        self._action = action
        self._task = task

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._task = self._task or task

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.steps += 1
            if self.steps == 1:
                self._action()


def is_claimed(sock: Socket) -> bool:
    """Tell whether a task has claimed the receive side of a socket."""
    engine = sock.receiver.engine
    return engine is not None and engine.claim.taken


def operation_of(sock: Socket) -> Operation | None:
    """Return the operation of the last overlapped receive on a socket, if there was one."""
    operation: Operation | None = getattr(sock.receiver.engine, "operation", None)
    return operation


def as_text(error: BaseException) -> str:
    """Return the text of an exception.

    Where the system has no text for a code, Python shows its number, and this package its name.
    This returns the name in both cases.
    """
    text = str(error)
    if "Windows Error 0x" in text:
        code = WinsockError(winerror(error))
        text = f"[WinError {code:d}] {code.name}"
    return text


def winerror(error: BaseException) -> int:
    """Return the Winsock error code of an exception."""
    assert isinstance(error, OSError), repr(error)
    code: int = error.winerror  # type: ignore[attr-defined,unused-ignore]
    return code
