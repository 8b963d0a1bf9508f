"""Starting the demonstration's programs in the Windows Python, and reading what they report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.children import SET_UP, WINDOWS_PYTHON, child

DEADLINE = 90.0
HERE = Path(__file__).resolve().parent


class Problem(Exception):
    """The demonstration cannot go on."""


def set_up() -> str:
    """Make sure that there is a Windows Python, and return what it is."""
    return str(measure(deadline=SET_UP)["python"])


def measure(*args: str, deadline: float = DEADLINE) -> dict[str, Any]:
    """Run a program, and return what it reports and what the package's statistics say."""
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if sys.stderr.isatty():
        environ["COLUMNS"] = str(min(shutil.get_terminal_size().columns, 80) - 1)
    command = [*WINDOWS_PYTHON, "measured.py", *args]
    with child(command, deadline, cwd=HERE, env=environ, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    report: dict[str, Any] = {}
    try:
        for line in output.splitlines():
            report |= json.loads(line)
    except ValueError:
        raise Problem(f"{' '.join(args)} printed\n{output}") from None
    if process.returncode != 0:
        raise Problem(f"{' '.join(args)} ended with status {process.returncode}")
    return report
