"""`ensure()`: the Windows CPython of this Python's minor version, ready to run, set up on first use.

It lies in the user's cache, in a folder named after the Python version and a digest of all that it is made from: a
changed recipe gets a folder of its own. A folder is built under another name and then renamed, so it is complete.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from .build import build_python
from .prefix import create_prefix, wine_environ
from .problem import Problem, say
from .system import install_missing_packages

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SUPPORTED = range(10, 15)
RECIPE = [
    "environment.py", "build.py", "packages.py", "compile.py", "prefix.py",
    "runtime.txt", "requirements.txt", "python.c", "bcryptprimitives.c", "site/sitecustomize.py",
]  # fmt: skip


@dataclass(frozen=True)
class WindowsPython:
    """A Windows CPython that is set up.

    Whoever starts it without `relay.run` must give it pipes (or the null device) as standard streams, never files:
    with a file CPython under Wine 8.0 does not start.
    """

    root: Path

    @property
    def python_exe(self) -> Path:
        return self.root / "python" / "python.exe"

    @property
    def wineprefix(self) -> Path:
        return self.root / "prefix"

    def command(self, args: Sequence[str]) -> list[str]:
        """What to start for `python ARGS…`."""
        return ["wine", str(self.python_exe), *args]

    def environ(self) -> dict[str, str]:
        """The environment variables to start it with: this process's, changed where Windows needs it."""
        environ = wine_environ(self.wineprefix)
        path = [str(REPOSITORY), *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
        environ["PYTHONPATH"] = ";".join(windows_path(Path(folder)) for folder in path)
        environ.pop("PYTHONHOME", None)
        environ["PYTHONDONTWRITEBYTECODE"] = "1"  # the caches in the source tree belong to Linux
        environ.setdefault("PYTHONUTF8", "1")
        return environ


def windows_path(path: Path) -> str:
    """The name that a file of this machine has under Wine, where drive Z: is the root folder."""
    return str(PureWindowsPath("Z:" + os.path.abspath(path)))


def ensure() -> WindowsPython:
    """Return the Windows CPython, setting it up if need be.

    :raises Problem: it cannot be set up; the text says what to do.
    """
    if sys.version_info.minor not in SUPPORTED or sys.implementation.name != "cpython":
        raise Problem(f"needs CPython 3.{SUPPORTED.start}–3.{SUPPORTED.stop - 1}, this is {sys.version}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trio_wsarecv" / "wine"
    if not shutil.which("wine"):
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / "lock"):
            install_missing_packages()
    python = WindowsPython(cache / folder_name())
    if not python.root.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / "lock"):
            if not python.root.exists():
                install_missing_packages()
                build(python.root)
    return python


def folder_name() -> str:
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    wine = subprocess.check_output(["wine", "--version"], env=wine_environ(HERE), stderr=subprocess.DEVNULL)
    digest.update(repr((sys.version, sysconfig.get_path("stdlib"), wine)).encode())
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{version}-{digest.hexdigest()[:16]}"


def build(root: Path) -> None:
    say(f"setting up a Windows CPython in {root} (once, about a minute)")
    for leftover in root.parent.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".building-") as folder:
        new = Path(folder) / root.name
        scratch = Path(folder) / "scratch"
        for each in (scratch, new, new / "python", new / "prefix"):
            each.mkdir()
        build_python(new / "python", scratch)
        create_prefix(new / "prefix", scratch)
        new.rename(root)
    say("ready")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock, which ends with the process at the latest."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another one that is setting up")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
