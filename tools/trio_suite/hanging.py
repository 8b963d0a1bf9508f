"""Tests that hang where Wine is not Windows, on Trio's sockets and on ours.

Each has a deadline of its own, shorter than pytest's, at which the whole run would end.  To hang is
then an outcome like others, and compared like others: it has to be so both ways, or neither.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Test = Callable[[], Awaitable[None]]

#: The outcome of a test that has reached its deadline.
HUNG = "hung"

#: In seconds: less than the 60 of pytest's ``faulthandler_timeout``.
DEADLINE = 45.0

#: The tests, each with what makes it hang.
MAY_HANG = {
    "test_highlevel_socket.py::test_SocketStream_generic": "where both directions are full, the "
    "end of the peer does not wake wait_writable on Wine 10.0",
}


class Hung(Exception):
    """A test has reached its deadline."""


def with_deadline(test: Test, reason: str) -> Test:
    """Have a test raise `Hung` at the deadline."""

    @functools.wraps(test)
    async def wrapper() -> None:
        with trio.move_on_after(DEADLINE) as scope:
            await test()
        if scope.cancelled_caught:
            raise Hung(f"no end in {DEADLINE:.0f} s: {reason}")

    return wrapper
