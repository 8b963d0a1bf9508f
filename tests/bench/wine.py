"""Wine as the machine, with a server of its own.

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
from typing import TYPE_CHECKING

import psutil

assert sys.platform != "win32"

from tests.wine.environment import ensure  # noqa: E402
from tests.wine.prefix import windows_path  # noqa: E402

from .machine import Machine  # noqa: E402
from .processes import ProcessError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ALLOWED = sorted(os.sched_getaffinity(0))
POLL = 0.01  # seconds


def _start_server(here: Sequence[str], environ: Mapping[str, str]) -> psutil.Popen:
    server = psutil.Popen(
        [*here, "wineserver", "--foreground", "--persistent"],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # A client that finds no server would start another one, whose time nobody counts.
    while not server.net_connections("unix"):
        if server.poll() is not None:
            raise ProcessError("Wine's server has ended")
        time.sleep(POLL)
    os.sched_setscheduler(server.pid, os.SCHED_IDLE, os.sched_param(0))
    return server


@contextmanager
def wine(packages: Path) -> Iterator[Machine]:
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
        first, last, before = ALLOWED[0], ALLOWED[-1], os.sched_getaffinity(0)
        here = ("taskset", "--cpu-list", str(last))
        os.sched_setaffinity(0, {first})  # of this process, and of the generators
        server = _start_server(here, environ)
        version = subprocess.check_output(["wine", "--version"], env=environ, text=True).split()[0]
        try:
            yield Machine(
                name=version,
                launcher=(*here, "wine"),
                python=str(python.python_exe),
                environ=environ,
                server=server.pid,
                pinning=f"pinned: the load generator to processor {first}, "
                f"the Windows CPython and its wineserver to processor {last}",
            )
        finally:
            os.sched_setaffinity(0, before)
            subprocess.call(["wineserver", "--kill"], env=environ)
            server.wait()
