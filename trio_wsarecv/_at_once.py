"""Receiving what has arrived already, where the last receive found something waiting.

On a connection that has data waiting time and again, an overlapped receive has nothing to wait
for: its packet costs more than it tells.  There a non-blocking receive of the standard library's
comes first.  What it gives is the result; if there is nothing yet, nothing has happened, and the
overlapped receive follows.  On a connection that is quiet in between, that would be one call in
vain for each receive, so what the last receive found decides, for each connection by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from ._statistics import counters

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._receiver import Receiver

T = TypeVar("T")


def look(receiver: Receiver, receive: Callable[..., T], *arguments: object) -> T | None:
    """Receive what is there.

    Args:
      receiver: who no longer looks first when there is nothing.
      receive: a method of the standard library's socket that does not wait.
      arguments: what it takes.

    Returns:
      What ``receive`` returns; None, and nothing has happened, if there is nothing yet.

    Raises:
      OSError: the receive failed.
    """
    try:
        result = receive(*arguments)
    except BlockingIOError:
        receiver.eager = False
        return None
    except OSError:
        receiver.eager = False
        counters.immediate += 1
        counters.failed += 1
        raise
    counters.immediate += 1
    return result


async def receive_at_once(
    receiver: Receiver, receive: Callable[..., T], *arguments: object
) -> T | None:
    """Do the same as a checkpoint; without being one, if there is nothing yet."""
    await trio.lowlevel.checkpoint_if_cancelled()
    found = True
    try:
        result = look(receiver, receive, *arguments)
        found = result is not None
    finally:
        if found:
            await trio.lowlevel.cancel_shielded_checkpoint()
    return result
