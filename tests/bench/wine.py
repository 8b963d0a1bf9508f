"""Wine as the machine, with a server of its own.

Wine's server plays the kernel's part, so its processor time counts with the subject's.  Other
programs of the same Wine prefix would be served by the same server.  So the benchmarks have a
prefix to themselves, which shares its files with that of the Windows CPython.

A subject and Wine's server wait for each other in turn, so they share a processor, and the load
generator has another.  Where the scheduler is free to choose, it puts them together at one time
and apart at another, and waking another processor costs more than all that is to be measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

assert sys.platform != "win32"

from tests.wine.environment import ensure  # noqa: E402
from tests.wine.prefix import windows_path  # noqa: E402

from .machine import Machine  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def wine(packages: Path, *, pinned: bool) -> Iterator[Machine]:
    """Give the machine, for as long as the block lasts."""
    python = ensure()
    with tempfile.TemporaryDirectory(prefix="bench-wine-", ignore_cleanup_errors=True) as folder:
        prefix = Path(folder)
        for file in python.wineprefix.iterdir():
            if file.name == "drive_c":
                (prefix / file.name).symlink_to(file)
            elif file.is_dir():
                shutil.copytree(file, prefix / file.name, symlinks=True)
            else:
                shutil.copy(file, prefix)
        environ = {**python.environ(), "WINEPREFIX": folder}
        environ["PYTHONPATH"] += ";" + windows_path(packages)
        here, there = _pinned() if pinned else ((), ())
        server = subprocess.Popen(
            [*here, "wineserver", "--foreground", "--persistent"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        version = subprocess.check_output(["wine", "--version"], env=environ, text=True).split()[0]
        try:
            yield Machine(
                name=version,
                launcher=(*here, "wine"),
                python=str(python.python_exe),
                environ=environ,
                generator_launcher=there,
                receiver_launcher=here,
                server=server.pid,
            )
        finally:
            subprocess.call(["wineserver", "--kill"], env=environ)
            server.wait()


def _pinned() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what starts a program on one processor, and on another."""
    first, *_, last = sorted(os.sched_getaffinity(0)) * 2
    return ("taskset", "--cpu-list", str(first)), ("taskset", "--cpu-list", str(last))
