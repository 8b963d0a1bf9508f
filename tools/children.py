"""Programs that a test run starts, and that end with it or at their deadline."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The command for a Python on Windows: under Wine on Linux, this Python on Windows.
WINDOWS_PYTHON = (sys.executable, str(Path(__file__).parent / "wine" / "winpython.py"))

#: Seconds that setting up that Python may take, on first use.
SET_UP = 900.0

PATIENCE = 2.0
GRACE = 10.0


@contextmanager
def child(
    command: Sequence[str], deadline: float, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Run a program; the end of the block or the deadline ends it, whichever comes first."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace", **options
    ) as process:
        timer = threading.Timer(deadline, end, [process])
        timer.daemon = True
        timer.start()
        try:
            yield process
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)  # it was interrupted, too
            raise
        finally:
            timer.cancel()
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    if sys.platform == "win32":  # where ending a program does not end its children
        with suppress(psutil.NoSuchProcess):
            for descendant in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    descendant.kill()
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


def remaining(marker: str) -> list[str]:
    """Return the processes that have this argument, once they have had time to end."""
    deadline = time.monotonic() + 5
    while True:
        processes = psutil.process_iter(["name", "cmdline"])
        found = [each.info for each in processes if marker in str(each.info["cmdline"])]
        if not found or time.monotonic() > deadline:
            return [str(info["name"]) for info in found]
        time.sleep(0.05)


def end_on_termination() -> None:
    """Have SIGTERM end this program by an exception, which ends its children."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
