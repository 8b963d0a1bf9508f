"""The Debian packages that this needs: installed as root, otherwise the user is told how to."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING

from .prefix import PATH
from .speak import Problem, check_call, say

if TYPE_CHECKING:
    from collections.abc import Mapping

assert sys.platform != "win32"

#: Waits for another apt, such as the daily one that runs after a machine has started.
APT_INSTALL = ["apt-get", "-oDPkg::Lock::Timeout=600", "install", "-y", "--no-install-recommends"]

COMMANDS = {
    "wine": ["wine", "wine64"],
    "wineserver": ["wine", "wine64"],
    "x86_64-w64-mingw32-dlltool": ["gcc-mingw-w64-x86-64"],
    "x86_64-w64-mingw32-gcc": ["gcc-mingw-w64-x86-64"],
}


def missing_packages(commands: Mapping[str, list[str]] = COMMANDS) -> list[str]:
    missing = [
        packages for command, packages in commands.items() if not shutil.which(command, path=PATH)
    ]
    wanted = [package for packages in missing for package in packages]
    if not any(map(importlib.util.find_spec, ["pip", "ensurepip"])):
        wanted.append("python3-venv")
    return list(dict.fromkeys(wanted))


def install_missing_packages(commands: Mapping[str, list[str]] = COMMANDS) -> None:
    """Install the packages of commands that are missing, and pip.

    :raises Problem: they cannot be installed from here.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Problem("a Windows CPython runs on x86-64 Linux only (and on Windows itself)")
    packages = missing_packages(commands)
    if not packages:
        return
    install = [*APT_INSTALL, *packages]
    line = f"sudo apt-get update && sudo {' '.join(install)}"
    if not shutil.which("apt-get"):
        raise Problem(f"install what these Debian packages hold: {' '.join(packages)}")
    if os.geteuid() != 0:
        raise Problem(f"Debian packages are missing. Install them and start this again:\n  {line}")
    say(f"installing Debian packages, which may take minutes: {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    check_call(["apt-get", "update"], env=env)
    check_call(install, env=env)
    importlib.invalidate_caches()
    if still := missing_packages(commands):
        raise Problem(f"still missing after apt-get: {' '.join(still)}")
