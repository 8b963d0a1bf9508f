"""What every engine is: the receiving end of one socket in one run."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from .claim import Claim
    from .memory import Run
    from .pushed_back import PushedBack
    from .requests import Answer, Request


class Engine(ABC):
    """Receives on one socket in one run.

    Its methods take the socket as an argument.  A reference to it here would keep a socket that the
    program has dropped from being closed.

    Attributes:
      run: the run.
      claim: the right to receive.
      pushed_back: what the next receive returns first.
      waited: whether the current receive has let other tasks run.
      may_wait: whether the current receive may wait for data.
    """

    __slots__ = ("claim", "may_wait", "pushed_back", "run", "waited")

    def __init__(self, run: Run, claim: Claim, pushed_back: PushedBack) -> None:
        self.run: Run = run
        self.claim: Claim = claim
        self.pushed_back: PushedBack = pushed_back
        self.waited: bool = False
        self.may_wait: bool = True

    @abstractmethod
    async def receive(self, sock: socket.socket, request: Request[Any], most: int) -> Answer[Any]:
        """Receive one part of what was asked for; wait until there is something.

        Args:
          sock: the socket, which is open.
          request: what was asked for.
          most: 0, or the most datagrams to receive; then the answer is a list.
        """

    # An engine without an operation in the kernel has nothing to do here.

    def cancel(self) -> None:
        """Make a receive that waits in the kernel start again."""
        return

    def close(self, sock: socket.socket) -> bool:
        """Prepare for closing the socket; return whether the engine closes the handle."""
        return False

    def leave(self, sock: socket.socket) -> None:
        """Abandon what the kernel has, since the run is over."""
        return


def closed_error() -> trio.ClosedResourceError:
    """Return the error of a receive whose socket was closed in the meantime."""
    return trio.ClosedResourceError("another task closed this socket")


def close_handle(handle: int) -> None:
    """Close the handle of a socket that its program has closed already.

    Winsock may refuse: WSAEWOULDBLOCK if the socket lingers.  The call that closed the socket has
    returned by then, so nobody can be told.
    """
    with suppress(OSError):
        socket.close(handle)
