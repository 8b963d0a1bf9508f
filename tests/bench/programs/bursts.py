"""Receiving a burst on a connection that then is idle, in the ways that a program may do it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tests.bench.programs import ANSWER, BURST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

MODERATE = 64 * 1024  # what programs usually ask for


async def hold(stream: trio.abc.HalfCloseableStream, size: int | None = None) -> None:
    """Have the last chunk at hand while waiting for the next, as ``async for`` does, too."""
    received = 0
    while data := await stream.receive_some(size):
        received += len(data)
        if received == BURST:
            await stream.send_all(ANSWER)


async def drop(stream: trio.abc.HalfCloseableStream) -> None:
    """Have dropped each chunk when waiting for the next."""
    received = 0
    while size := len(await stream.receive_some()):
        received += size
        if received == BURST:
            await stream.send_all(ANSWER)


WORKS: Final[dict[str, Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]]] = {
    "burst-default": hold,
    "burst-64k": partial(hold, size=MODERATE),
    "burst-drop": drop,
}
