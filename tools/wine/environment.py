"""`ensure()`: the Windows CPython of this Python's minor version, set up on first use.

It lies in the user's cache, in a folder whose name holds the Python version and a digest of all
that it is made from: a changed recipe gets another folder. Any of them can be deleted while nothing
runs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

assert sys.platform != "win32"

from .interpreter import build  # noqa: E402
from .prefix import windows_path, wine_environ  # noqa: E402
from .system import Problem, install_missing_packages, locked, missing_packages  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
WAITING = "waiting for another process that is setting up"
SUPPORTED = range(10, 15)  # the minor versions that runtime.txt has
RECIPE = [
    *("interpreter.py", "prefix.py", "runtime.txt", "requirements.txt"),
    *("python.c", "bcryptprimitives.c", "site/sitecustomize.py"),
]


@dataclass(frozen=True)
class WindowsPython:
    """A Windows CPython that is set up.

    `relay.run` starts it. If you start `command()` yourself, use pipes or the null device as
    standard streams, because CPython does not start under Wine 8.0 with a regular file, and call
    `server.start_server` first, because the system services, which the first process of a prefix
    starts, would keep the pipes open for a minute.
    """

    root: Path
    #: The virtual environment (`virtual.py`) to start it in, if any.
    venv: Path | None = None

    @property
    def home(self) -> Path:
        return self.root / "python"

    @property
    def python_exe(self) -> Path:
        return (self.venv / "Scripts" if self.venv else self.home) / "python.exe"

    @property
    def wineprefix(self) -> Path:
        return self.root / "prefix"

    def command(self, args: Sequence[str]) -> list[str]:
        """The command for `python ARGS…`."""
        return ["wine", str(self.python_exe), *args]

    def environ(self) -> dict[str, str]:
        """The environment variables to start it with: ours, with changes for Windows."""
        environ = wine_environ(self.wineprefix)
        path = [str(REPOSITORY), *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
        environ["PYTHONPATH"] = ";".join(map(windows_path, path))
        environ.pop("PYTHONHOME", None)
        environ["PYTHONDONTWRITEBYTECODE"] = "1"  # the caches in the source tree are Linux's
        environ.setdefault("PYTHONUTF8", "1")
        return environ


def ensure() -> WindowsPython:
    """Return the Windows CPython, and set it up first if it is not there.

    WINPYTHON_VENV, an environment variable, may hold the folder of a virtual environment.

    :raises Problem: it cannot be set up; the text says what to do.
    """
    if sys.version_info.minor not in SUPPORTED or sys.implementation.name != "cpython":
        raise Problem(f"needs CPython 3.{SUPPORTED[0]} to 3.{SUPPORTED[-1]}, this is {sys.version}")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(home, "trio_wsarecv", "wine").absolute()
    cache.mkdir(parents=True, exist_ok=True)
    if missing_packages():
        with locked(cache / "lock", WAITING):
            install_missing_packages()
    venv = os.environ.get("WINPYTHON_VENV")
    python = WindowsPython(cache / folder_name(), Path(venv).absolute() if venv else None)
    if not python.root.exists():
        with locked(cache / "lock", WAITING):
            if not python.root.exists():
                build(python.root)
    return python


def folder_name() -> str:
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    wine = subprocess.check_output(["wine", "--version"], env=wine_environ(HERE))
    digest.update(repr((sys.version, sysconfig.get_path("stdlib"), wine)).encode())
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{version}-{digest.hexdigest()[:16]}"
