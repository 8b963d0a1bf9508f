"""Sending as Trio does it: by non-blocking calls, with a wait if the system cannot take the data.

It needs no engine: the kernel has nothing of it while a task waits.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio
from trio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled

from .._winsock.parse import is_numeric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

T = TypeVar("T")

# The most datagrams that are sent in a row before other tasks run.
_MAX_IN_A_ROW: Final = 64

# The families whose addresses have a host, which the standard library would resolve.
_FAMILIES: Final = {socket.AF_INET, socket.AF_INET6}


async def send(sock: socket.socket, attempt: Callable[[], T]) -> T:
    """Send by a non-blocking call, repeated until it succeeds, and return its result.

    Args:
      sock: the socket.
      attempt: the call; it raises `BlockingIOError` if the system cannot take the data yet.
    """
    await checkpoint_if_cancelled()
    try:
        while True:
            try:
                result = attempt()
                break
            except BlockingIOError:
                await trio.lowlevel.wait_writable(sock)
    except Exception:
        await cancel_shielded_checkpoint()
        raise
    await cancel_shielded_checkpoint()
    return result


async def send_many(sock: socket.socket, datagrams: Iterable[tuple[Buffer, Any]]) -> int:
    """Send datagrams one after the other, and return how many there were.

    An exception that ends it early has the number of those sent as its attribute ``sent``.
    """
    family = int(sock.family) if sock.family in _FAMILIES else 0
    sent = in_a_row = 0
    try:
        await checkpoint_if_cancelled()
        for data, address in datagrams:
            if in_a_row == _MAX_IN_A_ROW:
                in_a_row = 0
                await checkpoint()
            if family and address is not None:
                # Not in a function of its own: the call would cost more than the check.
                if not isinstance(address, tuple) or not address:
                    raise TypeError("an address is a tuple of host and port, as recvfrom gives it")
                if not is_numeric(family, address[0]):
                    raise ValueError(
                        f"{address[0]!r} is not a numeric address of the family of this socket; "
                        "a host name is not resolved, which would block"
                    )
            while True:
                try:
                    if address is None:
                        sock.send(data)
                    else:
                        sock.sendto(data, address)
                    break
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(sock)
            in_a_row += 1
            sent += 1
    except BaseException as exc:
        with suppress(Exception):  # an exception of the program's may refuse
            exc.sent = sent  # type: ignore[attr-defined]
        if isinstance(exc, Exception):
            await cancel_shielded_checkpoint()
        raise
    await cancel_shielded_checkpoint()
    return sent
