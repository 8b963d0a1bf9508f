"""A lock between processes, which ends with its holder at the latest."""

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
    """Hold the lock file `path`; if another process does, wait for it, after this notice."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if notice:
                say(notice)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
