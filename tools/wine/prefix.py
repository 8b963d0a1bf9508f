"""The Wine prefix: the disk and registry of a Windows of its own; and the wineserver, its kernel.

The wineserver is a process.  It ends after its last client, and then the next start takes a
second more.  It can also crash, for some system calls break an assertion in it; most of its clients
do not notice, and stay.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path, PureWindowsPath

assert sys.platform != "win32"

from .system import PATH, Problem, check_call, locked, say  # noqa: E402

KEEP = 60  # seconds that the wineserver outlives its last client
PATIENCE = 30  # seconds for its first answer, which on an idle machine takes 0.2 ms


def wine_environ(prefix: Path) -> dict[str, str]:
    """The environment variables of this process, and those that Wine reads."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WINE")}
    environ.pop("DISPLAY", None)
    # No Mono, no Gecko, no desktop menus, and no debugger, so that a crash ends a process at once.
    without = "mscoree,mshtml,winemenubuilder.exe,winedbg.exe="
    environ.update(
        PATH=PATH,
        WINEPREFIX=str(prefix),
        WINEARCH="win64",
        WINEDEBUG="-all",
        WINEDLLOVERRIDES=without,
        LC_ALL="C.UTF-8",  # for arguments and file names that are not ASCII
    )
    return environ


def windows_path(path: str | Path) -> str:
    """The name of a file in Wine, where drive Z: is the root folder."""
    return str(PureWindowsPath("Z:" + os.path.abspath(path)))


def create_prefix(prefix: Path) -> None:
    """Fill the empty folder `prefix`, and end all processes that have it open."""
    say("creating the Wine prefix (about 15 s)")
    environ = wine_environ(prefix)
    try:
        check_call(["wineboot", "-i"], env=environ)
        [folder] = check_call(["wine", "cmd", "/c", "echo %WINEDLLDIR0%"], env=environ).split()
    finally:
        subprocess.call(["wineserver", "-k"], env=environ)
        subprocess.call(["wineserver", "-w"], env=environ)
    # Links to Wine's own DLLs instead of copies: 20 MB instead of 700.
    builtins = Path(folder.partition(":")[2].replace("\\", "/"))
    originals = {path.name: path for path in builtins.glob("*-windows/*")}
    for path in (prefix / "drive_c" / "windows").rglob("*.*"):
        original = originals.get(path.name)
        if original and path.is_file() and filecmp.cmp(path, original, shallow=False):
            path.unlink()
            path.symlink_to(original)
    # Wine must not update such a prefix.  Another version of Wine gets another one.
    (prefix / ".update-timestamp").write_text("disable\n")


def start_server(prefix: Path) -> int:
    """Return a pidfd of the prefix's wineserver, which runs for `KEEP` more seconds at least."""
    with locked(prefix.parent / "lock"):
        server = find_server(prefix)
        if not server or not answers(server):
            environ = wine_environ(prefix)
            subprocess.call(["wineserver", "-k"], env=environ)
            kill_clients(prefix)
            # The first process starts the system services, and they would keep its streams open.
            nothing = subprocess.DEVNULL
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
