"""The receive side of one socket: what was pushed back, and its engine in the current run.

There is one `Receiver` for each standard library socket, shared by all that wrap it.
"""

from __future__ import annotations

import socket
import weakref
from typing import TYPE_CHECKING, Final

import trio

from .._statistics import counters
from .choice import Choice
from .pushed_back import PushedBack

if TYPE_CHECKING:
    from .engine import Engine


class Receiver:
    """What is known of the receive side of one socket.

    Attributes:
      is_stream: whether bytes have no boundaries and their end is an empty receive.
      made_here: whether the socket was made by this package, so that nobody else had it before.
      pushed_back: what the next receive gives before the engine is asked.
      engine: what receives in the run that received last, if any.
      choice: why it does.
    """

    __slots__ = ("choice", "engine", "is_stream", "made_here", "pushed_back")

    def __init__(self, *, is_stream: bool) -> None:
        self.is_stream: bool = is_stream
        self.made_here: bool = False
        self.pushed_back: PushedBack = PushedBack()
        self.engine: Engine | None = None
        self.choice: Choice = Choice.NOT_YET

    def is_waiting(self) -> bool:
        """Tell whether a task waits for data, and nobody has asked for the end of its receive."""
        return self.engine is not None and self.engine.claim.is_waiting()

    def cancel(self) -> None:
        """Have a receive that waits begin again."""
        if self.engine is not None:
            self.engine.cancel()

    def close(self, sock: socket.socket) -> None:
        """Close the socket; if the kernel has an operation of it, the handle follows later."""
        self.pushed_back.clear()
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(sock)
        engine, self.engine = self.engine, None
        if engine is None or not engine.close(sock):
            sock.close()


_receivers: Final[weakref.WeakKeyDictionary[socket.socket, Receiver]] = weakref.WeakKeyDictionary()


def receiver_of(sock: socket.socket) -> Receiver:
    """Return the one `Receiver` of a standard library socket."""
    receiver = _receivers.get(sock)
    if receiver is None:
        counters.sockets += 1
        receiver = _receivers[sock] = Receiver(is_stream=sock.type == socket.SOCK_STREAM)
    return receiver
