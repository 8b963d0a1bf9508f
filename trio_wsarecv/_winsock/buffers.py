"""Buffers of a program, as Python's buffer protocol gives them.

A buffer cannot be resized while it is exported, so every view here is released as soon as possible.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer


@contextmanager
def bytes_of(buffer: Buffer) -> Iterator[memoryview]:
    """Give a view of a buffer as bytes, released at the end of the block."""
    with memoryview(buffer) as view, _octets(view) as octets:
        yield octets


@contextmanager
def parts_of(buffers: Sequence[Buffer], offset: int) -> Iterator[list[memoryview]]:
    """Give views of several buffers as bytes, from an offset on, released at the end of the block.

    The offset counts through all buffers, as if they were one.
    """
    with ExitStack() as views:
        parts = []
        for buffer in buffers:
            view = views.enter_context(bytes_of(buffer))
            parts.append(views.enter_context(view[min(offset, len(view)) :]))
            offset -= min(offset, len(view))
        yield parts


def _octets(view: memoryview) -> memoryview:
    # An empty view of several dimensions cannot be cast.
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def writable_size(buffer: Buffer) -> int:
    """Return the size of a buffer that can be received into, in bytes.

    Raises:
      TypeError: it is not a buffer, or not a writable one.
      BufferError: it is not contiguous.
    """
    view = memoryview(buffer)
    if view.readonly:
        raise TypeError("a read-write bytes-like object is required, not a read-only one")
    if not view.c_contiguous:
        raise BufferError("a contiguous buffer is required")
    return view.nbytes
