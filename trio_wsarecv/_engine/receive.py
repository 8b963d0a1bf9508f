"""Receiving on a socket: the one entry for every request and both engines.

As in Trio, the only thing before the receive is a check for cancellation.  So data that is there is
received, however short the deadline.  One task at a time receives.  What was pushed back comes
first, and then the engine receives, as often as the request needs.  A request that fails halfway,
usually because it is cancelled, pushes back what it has received.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from trio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    enable_ki_protection,
)

from .._statistics import counters
from .choose import choose_engine
from .engine import closed_error
from .memory import here
from .port import MORE_FRAMES
from .requests import AGAIN, OOB

if TYPE_CHECKING:
    import socket

    from .receiver import Receiver
    from .requests import Request

# The most receives that complete inline in a row before other tasks run.
_MAX_INLINE: Final = 32


async def checkpoint_at_once() -> None:
    """Execute a checkpoint for a call that needs no receive.

    It is cancelled only if the task was cancelled before, as a receive whose data is there.
    """
    await checkpoint_if_cancelled()
    await cancel_shielded_checkpoint()


@enable_ki_protection
async def receive(
    sock: socket.socket, receiver: Receiver, request: Request[Any], most: int = 0
) -> Any:
    """Receive what was asked for; raise what every public receive raises.

    Args:
      sock: the standard library's socket.
      receiver: its receive side.
      request: what was asked for.
      most: 0, or the most datagrams to receive; then the result is a list.
    """
    await checkpoint_if_cancelled()
    if sock.fileno() == -1:
        await cancel_shielded_checkpoint()
        sock.recv(1)  # raises the system's own error
    engine = receiver.engine
    if engine is None or engine.run is not here.run:
        engine = choose_engine(sock, receiver)
    claim = engine.claim
    may_wait, in_line = True, claim.taken
    if in_line:
        may_wait = await claim.wait_for_turn()
    claim.taken = True
    engine.waited, engine.may_wait = False, may_wait
    try:
        try:
            if in_line and sock.fileno() == -1:
                raise closed_error()
            answer = AGAIN
            if receiver.pushed_back.something and not request.flags & OOB:
                answer = receiver.pushed_back.give(request)
                if most and answer is not AGAIN:
                    answer = [answer]
            rounds = 0
            while answer is AGAIN:
                if rounds:
                    engine.may_wait = True  # it has received a part already
                    if rounds % _MAX_INLINE == 0:
                        await checkpoint()
                    if sock.fileno() == -1:
                        raise closed_error()
                rounds += 1
                answer = await engine.receive(sock, request, most)
            if most:
                counters.batches += 1
        except BaseException:
            if receiver.is_stream and sock.fileno() != -1:
                limit = sys.getrecursionlimit()
                try:
                    sys.setrecursionlimit(limit + MORE_FRAMES)
                    receiver.pushed_back.add(request.received())
                finally:
                    sys.setrecursionlimit(limit)
            raise
        finally:
            if claim.line:
                # Not by `with_more_frames`: near the recursion limit that call could fail itself,
                # and the next task would never be woken.
                limit = sys.getrecursionlimit()
                try:
                    sys.setrecursionlimit(limit + MORE_FRAMES)
                    claim.release()
                finally:
                    sys.setrecursionlimit(limit)
            else:
                claim.taken = False
    except (OSError, EOFError):
        if not engine.waited:
            await cancel_shielded_checkpoint()
        raise
    if not engine.waited:
        await cancel_shielded_checkpoint()
    return answer
