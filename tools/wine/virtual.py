"""Virtual environments of the Windows CPython: its interpreter, and only the packages named.

``python -m tools.wine.virtual FOLDER REQUIREMENTS…`` makes one; the requirements are arguments of
``uv pip install``.  If WINPYTHON_VENV holds the name of the folder, `winpython.py` starts that.

The `venv` of the standard library cannot make it, for it needs programs that only an installation
on Windows has; and pip, unlike uv, would resolve the packages for Linux.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

assert sys.platform != "win32"

from .environment import VERSION, adapt, ensure  # noqa: E402
from .prefix import windows_path  # noqa: E402
from .system import Problem, check_call  # noqa: E402


def create(folder: Path, requirements: list[str]) -> None:
    """Make the virtual environment; an old one is deleted."""
    shutil.rmtree(folder, ignore_errors=True)
    home = ensure().home
    scripts, packages = folder / "Scripts", folder / "Lib" / "site-packages"
    scripts.mkdir(parents=True)
    for file in (home / "python.exe", *home.glob("*.dll")):
        (scripts / file.name).symlink_to(file)
    settings = f"home = {windows_path(home)}\ninclude-system-site-packages = false\n"
    (folder / "pyvenv.cfg").write_text(settings, encoding="utf-8")
    target = ["--target", str(packages), "--only-binary=:all:"]
    target += ["--python-platform=windows", f"--python-version={VERSION}"]
    check_call([sys.executable, "-m", "uv", "pip", "install", *target, *requirements])
    adapt(packages)


if __name__ == "__main__":
    try:
        create(Path(sys.argv[1]), sys.argv[2:])
    except Problem as problem:
        sys.exit(f"winpython: {problem}")
