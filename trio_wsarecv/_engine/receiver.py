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
    """The receive side of one socket.

    Attributes:
      is_stream: whether the bytes have no boundaries and an empty receive is the end.
      made_here: whether this package made the socket, so that nobody else has had it.
      pushed_back: what the next receive returns before the engine is asked.
      engine: the engine of the run that received last, if any.
      choice: why the socket got it.
    """

    __slots__ = ("choice", "engine", "is_stream", "made_here", "pushed_back")

    def __init__(self, *, is_stream: bool) -> None:
        self.is_stream: bool = is_stream
        self.made_here: bool = False
        self.pushed_back: PushedBack = PushedBack()
        self.engine: Engine | None = None
        self.choice: Choice = Choice.NOT_YET

    def is_waiting(self) -> bool:
        """Return whether a task waits for data, and the end of that has not been requested."""
        return self.engine is not None and self.engine.claim.is_waiting()

    def cancel(self) -> None:
        """Make a receive that waits start again."""
        if self.engine is not None:
            self.engine.cancel()

    def close(self, sock: socket.socket) -> None:
        """Close the socket; if the kernel has an operation, its handle is closed later."""
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
