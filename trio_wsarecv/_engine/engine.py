"""What every engine is: the receiving end of one socket in one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    import socket

    from .claim import Claim
    from .memory import Run
    from .pushed_back import PushedBack
    from .requests import Answer, Request


class Engine(ABC):
    """Receives on one socket in one run.

    Its methods are given the socket: a reference to it here would keep a socket that was dropped
    from ever being closed.

    Attributes:
      run: the run.
      claim: who receives.
      pushed_back: what the next receive gives.
      waited: whether the last receive has let other tasks run.
      may_wait: whether the current one may wait for data.
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
        """Receive one part of what was asked for, waiting until there is something.

        Args:
          sock: the socket, which is open.
          request: what was asked for.
          most: 0, or how many datagrams to receive; then the answer is a list.
        """

    # Without an operation in the kernel there is nothing to do.

    def cancel(self) -> None:
        """Have a receive that waits in the kernel begin again."""
        return

    def close(self, sock: socket.socket) -> bool:
        """Hear that the socket is closed; return whether the engine closes its handle."""
        return False

    def leave(self, sock: socket.socket) -> None:
        """Give up what the kernel has, since the run is over."""
        return


def closed_error() -> trio.ClosedResourceError:
    """Return the error of a receive whose socket was closed in the meantime."""
    return trio.ClosedResourceError("another task closed this socket")
