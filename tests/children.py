"""Programs that a test run starts and that end with it, whatever happens."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What to start for a Python on Windows: under Wine on Linux, this Python on Windows.
WINDOWS_PYTHON = (sys.executable, str(Path(__file__).parent / "wine" / "winpython.py"))

GRACE = 10.0


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program that lives no longer than this block."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace", **options
    ) as process:
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    if sys.platform == "win32":  # there nothing asks a process to end, and with it its children
        with suppress(psutil.NoSuchProcess):
            for descendant in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    descendant.kill()
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
