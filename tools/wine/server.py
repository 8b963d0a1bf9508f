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

from .prefix import wine_environ  # noqa: E402
from .system import Problem, locked  # noqa: E402

KEEP = 60  # seconds that it outlives its last client
PATIENCE = 30  # seconds for its first answer, which on an idle machine takes 0.2 ms


def start_server(prefix: Path) -> int:
    """Return a pidfd of the prefix's wineserver, which runs for `KEEP` more seconds at least."""
    with locked(prefix.parent / "lock"):
        server = find_server(prefix)
        if server and not answers(server):
            with contextlib.suppress(ProcessLookupError):
                pidfd = os.pidfd_open(server)
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                select.select([pidfd], [], [], PATIENCE)
            server = None
        if not server:
            kill_clients(prefix)
            # The first process starts the system services, and they would keep its streams open.
            nothing, environ = subprocess.DEVNULL, wine_environ(prefix)
            for command in (["wineserver", f"-p{KEEP}"], ["wine", "cmd", "/c", "exit"]):
                subprocess.call(command, stdin=nothing, stdout=nothing, stderr=nothing, env=environ)
            server = find_server(prefix)
        if not server:
            raise Problem(f"no wineserver can be started for {prefix}")
        return os.pidfd_open(server)


def end_orphans(prefix: Path) -> None:
    """If the wineserver has died, kill the Windows processes that it served."""
    with locked(prefix.parent / "lock"):
        if find_server(prefix) is None:
            kill_clients(prefix)


def find_server(prefix: Path) -> int | None:
    """The wineserver's process id; its working folder is named after the prefix's inode."""
    status = prefix.stat()
    name = f"server-{status.st_dev:x}-{status.st_ino:x}"
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to somebody else
            is_server = (process / "comm").read_text().startswith("wineserver")
            if is_server and (process / "cwd").readlink().name == name:
                return int(process.name)
    return None


def answers(server: int) -> bool:
    """Whether the wineserver accepts a client; that also restarts its `KEEP` seconds."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(str(Path(f"/proc/{server}/cwd").readlink() / "socket"))
            return bool(client.recv(16))
        except OSError:
            return False


def kill_clients(prefix: Path) -> None:
    variable = b"WINEPREFIX=" + os.fsencode(prefix)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # as above
            is_wine = (process / "exe").readlink().name.startswith("wine")
            if is_wine and variable in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
