"""The machine that the subjects run on: Windows, or Wine on Linux with a server of its own.

Wine's server does the kernel's part, so its processor time counts with the subject's.  The server
of a Wine prefix serves all programs of that prefix.  So the benchmarks have a prefix to themselves,
which shares its files with that of the Windows CPython.

A subject and Wine's server wait for each other in turn, so they share one processor.  The load
generator and this process have another one.  A free scheduler would sometimes put them together and
sometimes apart, and waking another processor costs more than what is measured here.

While a polled socket is readable and the subject has not taken its packet yet, Wine's server polls
that socket again and again.  So it has the lowest priority: with the same priority as the subject,
it would go on for as long as the scheduler lets it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from .processes import REPOSITORY, ProcessError

if sys.platform != "win32":
    from tools.wine.environment import ensure
    from tools.wine.prefix import windows_path as windows_path
    from tools.wine.system import COMMANDS, COMPILER, install_missing_packages

    ALLOWED = os.sched_getaffinity(0)  # at import, because a machine can be inside another one
else:
    windows_path = str
    COMPILER = "gcc"

SOURCES: Final = Path(__file__).parent / "native"
#: Debian's packages with the tools, besides those that the Windows CPython needs.
TOOLS: Final = {"gcc": ["gcc", "libc6-dev"], "wrk": ["wrk"]}


def ensure_tools() -> None:
    """Install the tools that are missing, where that is possible."""
    if sys.platform == "linux":
        install_missing_packages({**COMMANDS, **TOOLS})


def build(name: str, folder: Path, *options: str, compiler: str = COMPILER) -> Path:
    """Compile what is written in C, by default for Windows."""
    target, warnings = folder / f"{name}.exe", ("-Wall", "-Wextra", "-Werror")
    command = [compiler, "-O2", *warnings, str(SOURCES / f"{name}.c"), "-o", str(target), *options]
    subprocess.run(command, check=True)
    return target


class Machine(NamedTuple):
    """How to start what runs on Windows."""

    name: str
    launcher: tuple[str, ...]  # what comes before the name of a program
    python: str
    environ: Mapping[str, str]
    server: int | None = None  # the process of Wine's server, if there is one
    folder: Path = REPOSITORY  # the working directory, from which the package is imported
    pinning: str = "nothing is pinned to a processor, so the figures vary"

    def with_package(self, folder: Path) -> Machine:
        """Return the same machine with the package of this folder."""
        # What ``python -m`` starts is looked for in the working directory first.
        path = f"{windows_path(folder)};{self.environ['PYTHONPATH']}"
        return self._replace(environ={**self.environ, "PYTHONPATH": path}, folder=folder)


@contextmanager
def windows(packages: Path) -> Iterator[Machine]:
    """Give the machine, with this folder of Python packages, until the block ends."""
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
        files = shutil.ignore_patterns("drive_c")
        shutil.copytree(python.wineprefix, folder, True, files, dirs_exist_ok=True)
        (folder / "drive_c").symlink_to(python.wineprefix / "drive_c")
        environ = {**python.environ(), "WINEPREFIX": str(folder)}
        environ["PYTHONPATH"] += ";" + windows_path(packages)
        first, last, before = min(ALLOWED), max(ALLOWED), os.sched_getaffinity(0)
        here, nothing = ("taskset", "--cpu-list", str(last)), subprocess.DEVNULL
        others = f"the Windows CPython and its wineserver to processor {last}"
        pinning = f"pinned: the load generator to processor {first}, {others}"
        command = [*here, "wineserver", "--foreground", "--persistent"]
        server = psutil.Popen(command, -1, None, nothing, nothing, nothing, env=environ)
        # A client that finds no server would start another one, whose time is not counted.
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
