"""What the modules here say to the person who runs them: progress on standard error, and problems to be solved."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class Problem(Exception):
    """Something that only the user can put right; its text says how."""


def say(text: str) -> None:
    print(f"winpython: {text}", file=sys.stderr, flush=True)


def check_call(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a command silently and return what it printed; if it fails, show that.

    The output goes through a file: a daemon that the command leaves behind must not keep us waiting on a pipe.
    """
    import tempfile

    with tempfile.TemporaryFile() as log:
        status = subprocess.call(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.seek(0)
        output = log.read().decode(errors="replace")
    if status != 0:
        line = " ".join(map(str, command))
        raise Problem(f"this command failed with status {status}:\n  {line}\n{output}")
    return output
