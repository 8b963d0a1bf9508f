"""Messages, commands that run silently, a lock, and the Debian packages that this needs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

assert sys.platform != "win32"
import fcntl  # noqa: E402

#: Where Wine's programs are. Debian's packages after Debian 13 have the wineserver in that folder.
PATH = os.pathsep.join([*os.get_exec_path(), "/usr/lib/x86_64-linux-gnu/wine"])

#: Waits for another apt, such as the daily one that runs after a machine has started.
APT_INSTALL = ["apt-get", "-oDPkg::Lock::Timeout=600", "install", "-y", "--no-install-recommends"]

COMPILER = "x86_64-w64-mingw32-gcc"
COMMANDS = {
    "wine": ["wine", "wine64"],
    "wineserver": ["wine", "wine64"],
    COMPILER: ["gcc-mingw-w64-x86-64"],
}


class Problem(Exception):
    """Something that only the user can put right; its text says how."""


def say(text: str) -> None:
    print(f"winpython: {text}", file=sys.stderr, flush=True)


def check_call(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command silently and return what it printed.

    The output goes through a file: a daemon that the command starts would keep a pipe open.

    :raises Problem: it failed; the text holds what it printed.
    """
    with tempfile.TemporaryFile() as log:
        status = subprocess.call(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.seek(0)
        output = log.read().decode(errors="replace")
    if status != 0:
        line = " ".join(map(str, command))
        raise Problem(f"this command failed with status {status}:\n  {line}\n{output}")
    return output


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; while another process does, wait."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install_missing_packages(commands: Mapping[str, list[str]] = COMMANDS) -> None:
    """Install the packages of commands that are missing, and pip: as root, or say how.

    :raises Problem: they cannot be installed from here.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Problem("a Windows CPython runs on x86-64 Linux only (and on Windows itself)")
    missing = [
        package
        for command, packages in commands.items()
        if not shutil.which(command, path=PATH)
        for package in packages
    ]
    if not any(map(importlib.util.find_spec, ["pip", "ensurepip"])):
        missing.append("python3-venv")
    if not missing:
        return
    install = [*APT_INSTALL, *dict.fromkeys(missing)]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        line = f"sudo apt-get update && sudo {' '.join(install)}"
        raise Problem(f"Debian packages are missing. Install them and start this again:\n  {line}")
    say(f"installing Debian packages, which may take minutes: {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    check_call(["apt-get", "update"], env=env)
    check_call(install, env=env)
    importlib.invalidate_caches()
