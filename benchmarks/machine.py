"""The machine that the subjects run on: Windows, or Wine on Linux with a server of its own.

Wine's server plays the kernel's part, so its processor time counts with the subject's.  Other
programs of the same Wine prefix would be served by the same server.  So the benchmarks have a
prefix to themselves, which shares its files with that of the Windows CPython.

A subject and Wine's server wait for each other in turn, so they share a processor.  The load
generator has another, and so has this process.  Where the scheduler is free to choose, it puts
them together at one time and apart at another, and waking another processor costs more than all
that is to be measured.

From the moment when a polled socket is readable until the subject has taken its packet, Wine's
server does nothing but poll that socket again and again.  So it gives way to the subject: with the
same priority, it would do so for as long as the scheduler lets it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from .processes import REPOSITORY, ProcessError

if sys.platform != "win32":
    from tools.wine.environment import ensure
    from tools.wine.prefix import windows_path as windows_path

    ALLOWED = os.sched_getaffinity(0)  # before a machine is there, for one may be within another
else:
    windows_path = str

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Machine(NamedTuple):
    """How to start what runs on Windows."""

    name: str
    launcher: tuple[str, ...]  # what comes before the name of a program
    python: str
    environ: Mapping[str, str]
    server: int | None = None  # the process that is the kernel's stand-in, if there is one
    folder: Path = REPOSITORY  # the working directory, which has the package to be imported
    pinning: str = "nothing is pinned to a processor, so the figures wander"

    def with_package(self, folder: Path) -> Machine:
        """Return the same machine, on which the package in this folder is the one imported."""
        # What ``python -m`` starts is looked for in the working directory first.
        path = f"{windows_path(folder)};{self.environ['PYTHONPATH']}"
        return self._replace(environ={**self.environ, "PYTHONPATH": path}, folder=folder)


@contextmanager
def windows(packages: Path) -> Iterator[Machine]:
    """Give the machine, with this folder of Python packages, for as long as the block lasts."""
    if sys.platform != "win32":
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
            yield from _wine(Path(folder), packages)
    else:
        path = os.pathsep.join([str(REPOSITORY), str(packages)])
        yield Machine("Windows", (), sys.executable, {**os.environ, "PYTHONPATH": path})


if sys.platform != "win32":

    def _wine(folder: Path, packages: Path) -> Iterator[Machine]:
        """Give Wine with a prefix in an empty folder."""
        python = ensure()
        for file in python.wineprefix.iterdir():
            if file.name == "drive_c":
                (folder / file.name).symlink_to(file)
            elif file.is_dir():
                shutil.copytree(file, folder / file.name, symlinks=True)
            else:
                shutil.copy(file, folder)
        environ = {**python.environ(), "WINEPREFIX": str(folder)}
        environ["PYTHONPATH"] += ";" + windows_path(packages)
        first, last, before = min(ALLOWED), max(ALLOWED), os.sched_getaffinity(0)
        here, nothing = ("taskset", "--cpu-list", str(last)), subprocess.DEVNULL
        others = f"the Windows CPython and its wineserver to processor {last}"
        pinning = f"pinned: the load generator to processor {first}, {others}"
        command = [*here, "wineserver", "--foreground", "--persistent"]
        server = psutil.Popen(command, -1, None, nothing, nothing, nothing, env=environ)
        # A client that finds no server would start another one, whose time nobody counts.
        while not server.net_connections("unix"):
            if server.poll() is not None:
                raise ProcessError("Wine's server has ended")
            time.sleep(0.01)
        os.sched_setscheduler(server.pid, os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(0, {first})  # of this process, and of the generators
        name = subprocess.check_output(["wine", "--version"], env=environ, text=True).split()[0]
        start = (*here, "wine"), str(python.python_exe)
        try:
            yield Machine(name, *start, environ, server.pid, pinning=pinning)
        finally:
            os.sched_setaffinity(0, before)
            subprocess.call(["wineserver", "--kill"], env=environ)
            server.wait()
