"""A lock between processes, which is released when its holder ends, too."""

from __future__ import annotations

import contextlib
import fcntl
import sys
from typing import TYPE_CHECKING

from .speak import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

assert sys.platform != "win32"


@contextlib.contextmanager
def locked(path: Path, notice: str | None = None) -> Iterator[None]:
    """Hold the lock file `path`; if another process does, print the notice and wait for it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if notice:
                say(notice)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
