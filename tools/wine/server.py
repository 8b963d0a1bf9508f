"""The wineserver: the process that acts as the Windows kernel for all processes of one prefix.

It ends after its last client, and then the next start takes a second more. It can also crash, for
some system calls break an assertion in it; most of its clients do not notice, and stay.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

assert sys.platform != "win32"

from .lock import locked  # noqa: E402
from .prefix import wine_environ  # noqa: E402
from .speak import Problem, say  # noqa: E402

KEEP = 60  # seconds that it outlives its last client
PATIENCE = 30  # seconds for its first answer, which on an idle machine takes 0.2 ms


def start_server(prefix: Path) -> int:
    """Return a pidfd of the prefix's wineserver, which runs for `KEEP` more seconds at least."""
    with locked(prefix.parent / "lock"):
        server = find_server(prefix)
        if server is None or not answers(*server):
            if server is not None:
                end(server[0])
            kill_clients(prefix)
            start(prefix)
            server = find_server(prefix)
            if server is None:
                raise Problem(f"no wineserver can be started for {prefix}")
        return os.pidfd_open(server[0])


def end_orphans(prefix: Path) -> None:
    """If the wineserver has died, kill the Windows processes that it served."""
    with locked(prefix.parent / "lock"):
        if find_server(prefix) is None:
            kill_clients(prefix)


def start(prefix: Path) -> None:
    # The first Windows process starts the system services, and they would keep its streams open.
    for command in (["wineserver", f"-p{KEEP}"], ["wine", "cmd", "/c", "exit"]):
        subprocess.call(
            command,
            env=wine_environ(prefix),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def find_server(prefix: Path) -> tuple[int, Path] | None:
    """The wineserver's process id and working folder, which is named after the prefix's inode."""
    status = prefix.stat()
    name = f"server-{status.st_dev:x}-{status.st_ino:x}"
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to somebody else
            folder = (process / "cwd").readlink()
            if folder.name == name and (process / "comm").read_text().startswith("wineserver"):
                return int(process.name), folder
    return None


def answers(process: int, folder: Path) -> bool:
    """Whether the wineserver accepts a client; that also restarts its `KEEP` seconds."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(str(folder / "socket"))
            welcome, descriptors, _, _ = socket.recv_fds(client, 16, 1)
        except OSError:
            return False
        for descriptor in descriptors:
            os.close(descriptor)
        return bool(welcome)


def end(process: int) -> None:
    try:
        pidfd = os.pidfd_open(process)
    except ProcessLookupError:
        return
    if not select.select([pidfd], [], [], 2)[0]:  # it may have been about to end
        say("the wineserver does not answer: killing it")
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], PATIENCE)
    os.close(pidfd)


def kill_clients(prefix: Path) -> None:
    variable = b"WINEPREFIX=" + os.fsencode(prefix)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # as above
            is_wine = (process / "exe").readlink().name.startswith("wine")
            if is_wine and variable in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
