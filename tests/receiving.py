"""What tests of receiving share: the calls by name, a sender of datagrams, and error codes."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

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


def result_of(method: str, data: bytes, address: Any = None) -> Any:
    """Return what a receive of `RECEIVES` gives for some bytes.

    Args:
      method: its name.
      data: the bytes.
      address: of the sender of a datagram; None for a stream.
    """
    nbytes = len(data)
    sender = NO_SENDER if address is None else address  # which a stream has for these calls
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


async def leave_to_the_next(sock: Socket, other: socket.socket, data: bytes) -> None:
    """Have an exact receive take some bytes and be cancelled, so that they are pushed back."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SocketStream(sock).receive_exactly, len(data) + 1)
        await trio.testing.wait_all_tasks_blocked()
        other.sendall(data)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


class AfterFirstStep(trio.abc.Instrument):
    """Does something when a task has run once more: this one, or else the next that is spawned.

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
    """Tell whether a task has the receive side of a socket."""
    engine = sock.receiver.engine
    return engine is not None and engine.claim.taken


def operation_of(sock: Socket) -> Operation | None:
    """Return what the last receive on a socket used, if it was one of Winsock's."""
    operation: Operation | None = getattr(sock.receiver.engine, "operation", None)
    return operation


def as_text(error: BaseException) -> str:
    """Return what an exception says, with the name of its code where the system has no text.

    Python shows the number then, and this package the name.
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
