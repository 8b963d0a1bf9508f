"""Checks of arguments: they are accepted and refused as in the standard library."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any, Final

from ._engine.requests import MAX_RECEIVE, MAX_WAITING
from ._winsock.buffers import writable_size

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MAX_INT: Final = 0x7FFFFFFF


def size_and_flags(size: Any, flags: Any) -> tuple[int, int] | None:
    """Return two integers; None if the standard library has to raise its own error."""
    try:
        size, flags = operator.index(size), operator.index(flags)
    except Exception:  # `__index__` may raise any
        return None
    return (size, flags) if 0 <= size <= sys.maxsize and 0 <= flags <= _MAX_INT else None


def buffer_size_and_flags(buffer: Buffer, nbytes: Any, flags: Any) -> tuple[int, int] | None:
    """Return how many bytes of a buffer to fill (all if ``nbytes`` is 0), and the flags.

    None if the standard library has to raise its own error.
    """
    try:
        size = writable_size(buffer)
    except (TypeError, BufferError, ValueError):  # a view that was released is a ValueError
        return None
    if type(nbytes) is type(flags) is int and nbytes == flags == 0:  # the usual case, made fast
        return size, 0
    arguments = size_and_flags(nbytes, flags)
    if arguments is None or arguments[0] > size:
        return None
    return arguments[0] or size, arguments[1]


def message_arguments(nbytes: Any, control_size: Any, flags: Any) -> tuple[int, int, int]:
    """Return the arguments of ``recvmsg`` as integers, the sizes capped.

    Raises:
      TypeError: one of them is not an integer.
      OverflowError: one of them is too large.
      ValueError: a size is negative, or too large.
    """
    nbytes, control_size, flags = map(operator.index, (nbytes, control_size, flags))
    if (
        max(map(abs, (nbytes, control_size))) > sys.maxsize
        or not -_MAX_INT <= flags + 1 <= _MAX_INT + 1
    ):
        raise OverflowError("an argument is too large for a C integer")
    if nbytes < 0:
        raise ValueError("bufsize must not be negative")
    if not 0 <= control_size <= MAX_RECEIVE:
        raise ValueError("ancbufsize must not be negative, or larger than 1 GiB")
    return min(nbytes, MAX_WAITING), min(control_size, MAX_WAITING), flags
