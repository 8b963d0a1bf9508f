"""Messages to the user, and commands that run silently."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Problem(Exception):
    """Something that only the user can put right; its text says how."""


class Signalled(BaseException):
    """SIGINT, SIGTERM or SIGHUP has come; raised in the main thread, so that it cleans up."""

    def __init__(self, number: int) -> None:
        self.number = number


def say(text: str) -> None:
    print(f"winpython: {text}", file=sys.stderr, flush=True)


def check_call(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command silently and return what it printed.

    The output goes through a file: a daemon that the command starts would keep a pipe open.

    :raises Problem: it failed; the text holds what it printed.
    """
    with tempfile.TemporaryFile() as log:
        status = subprocess.call(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.seek(0)
        output = log.read().decode(errors="replace")
    if status != 0:
        line = " ".join(map(str, command))
        raise Problem(f"this command failed with status {status}:\n  {line}\n{output}")
    return output
