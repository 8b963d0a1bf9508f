"""The commands of ``python -m trio_wsarecv``."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Write to the standard output, even if its reader has gone, as ``head`` does."""
    try:
        print(text, flush=True)
    except OSError:
        # What is still in its buffer must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
