"""The Debian packages that the Windows CPython needs: installed when missing and allowed, asked for when not."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys

from .problem import Problem, say

PACKAGES = {
    "wine": ["wine", "wine64"],
    "wineserver": ["wine", "wine64"],
    "x86_64-w64-mingw32-gcc": ["gcc-mingw-w64-x86-64"],
    "x86_64-w64-mingw32-dlltool": ["gcc-mingw-w64-x86-64"],
    "x86_64-w64-mingw32-objdump": ["gcc-mingw-w64-x86-64"],
}


def missing_packages() -> list[str]:
    wanted = [name for command, names in PACKAGES.items() if not shutil.which(command) for name in names]
    if not any(map(importlib.util.find_spec, ["pip", "ensurepip"])):
        wanted.append("python3-venv")
    return list(dict.fromkeys(wanted))


def install_missing_packages() -> None:
    """Make Wine, the cross compiler and pip available.

    :raises Problem: they are missing and cannot be installed from here.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        raise Problem(f"a Windows CPython needs an x86-64 machine, this one is {platform.machine()}")
    packages = missing_packages()
    if not packages:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    line = f"sudo apt-get update && sudo {' '.join(install)}"
    if not shutil.which("apt-get"):
        raise Problem(f"these Debian packages, or your system's likes of them, are missing: {' '.join(packages)}")
    if os.geteuid() != 0:
        raise Problem(f"Debian packages are missing. Install them, then start this again:\n  {line}")
    say(f"installing {' '.join(packages)} (apt-get)")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        if subprocess.call(command, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr) != 0:
            raise Problem(f"apt-get failed. To do it by hand:\n  {line}")
    if left := missing_packages():
        raise Problem(f"still missing after apt-get: {' '.join(left)}")
