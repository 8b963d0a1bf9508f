"""Receiving on a socket, by whichever engine serves it: the one entry for every request.

One task at a time receives.  Bytes that were pushed back come first, an error that had to wait
comes next, and only then the engine is asked.  A request that fails halfway, usually because it is
cancelled, pushes back what it has received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from . import choose
from .readiness import BY_WINSOCK
from .receiver import closed_error
from .requests import AGAIN, OOB, PEEK

if TYPE_CHECKING:
    import socket

    from .receiver import Receiver
    from .requests import Answer, Request, T


@trio.lowlevel.enable_ki_protection
async def receive(sock: socket.socket, receiver: Receiver, request: Request[T]) -> T:
    """Receive what was asked for; raise what every public call that receives does."""
    if receiver.claimed:
        await _let_others_run(sock)  # since that task may have been woken, but not run yet
        if receiver.claimed:
            raise trio.BusyResourceError("another task is receiving on this socket")
    receiver.claimed = True
    try:
        if receiver.pushed_back or receiver.deferred_error:
            answer = await _take_pushed_back(sock, receiver, request)
            if answer is not AGAIN:
                return answer
        run = choose.this_run.get(None)
        if run is None or receiver.run is not run:
            choose.choose_engine(sock, receiver)
        engine = receiver.engine
        if request.flags & PEEK and choose.on_windows:
            engine = BY_WINSOCK
            choose.log_fallback(choose.Choice.PEEK)
        return await engine.receive(sock, receiver, request)
    except BaseException:
        if sock.fileno() != -1:
            receiver.push_back(request.received())
        raise
    finally:
        receiver.claimed = False


async def _take_pushed_back(
    sock: socket.socket, receiver: Receiver, request: Request[T]
) -> Answer[T]:
    # Gives bytes that were pushed back, or raises the error that had to wait: no engine is needed.
    await _let_others_run(sock)
    if request.flags & OOB or sock.fileno() == -1:
        return AGAIN
    while receiver.pushed_back:
        data = bytes(receiver.pushed_back[: request.room])
        answer = request.take(data)
        if not request.flags & PEEK:
            receiver.drop_pushed_back(len(data))
        # An exact receive that reserves memory as bytes come takes them in parts.
        if answer is not AGAIN:
            return answer
    error, receiver.deferred_error = receiver.deferred_error, None
    if error is not None:
        raise error
    return AGAIN


async def _let_others_run(sock: socket.socket) -> None:
    # A checkpoint, in which another task may close the socket.
    was_open = sock.fileno() != -1
    await trio.lowlevel.checkpoint()
    if was_open and sock.fileno() == -1:
        raise closed_error()
