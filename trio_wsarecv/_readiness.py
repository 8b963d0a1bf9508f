"""The readiness engine: wait until the socket is readable, then receive without blocking.

It serves where an overlapped receive cannot be: off Windows, on a socket that already belongs to
another completion port, with a provider whose handles are not the file system's, and for
``MSG_PEEK``, which Winsock offers to non-overlapped receives only.  A receive that is not yet
possible has no effect at all, so cancelling it loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import outcome
import trio

from ._statistics import Counters, counters

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

T = TypeVar("T")


@trio.lowlevel.enable_ki_protection
async def perform(
    sock: socket.socket, attempt: Callable[[], T], counters: Counters = counters
) -> T:
    """Receive: call ``attempt`` until it does not raise `BlockingIOError`.

    Args:
      sock: what has to become readable.
      attempt: what does not wait.
      counters: where to count the receive.

    Returns:
      What ``attempt`` returns.

    Raises:
      OSError: or whatever ``attempt`` raises, for instance on arguments that it does not take.
      trio.BusyResourceError: another task is waiting for this socket to become readable.
      trio.ClosedResourceError: the socket was closed meanwhile.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    result = outcome.capture(attempt)
    if _must_wait(result):
        counters.pended += 1
        while _must_wait(result):
            try:
                await trio.lowlevel.wait_readable(sock)
            except trio.Cancelled:
                counters.cancelled += 1
                raise
            result = outcome.capture(attempt)
    else:
        counters.immediate += 1
        await trio.lowlevel.cancel_shielded_checkpoint()
    if isinstance(result, outcome.Error):
        counters.failed += 1
    return result.unwrap()


def _must_wait(result: outcome.Outcome[object]) -> bool:
    return isinstance(result, outcome.Error) and isinstance(result.error, BlockingIOError)
