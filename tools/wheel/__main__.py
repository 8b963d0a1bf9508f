"""Builds the archives into ``dist``, and uses the wheel in environments with nothing else.

These are of this Python and, without ``--native``, of a Windows CPython.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.children import SET_UP, WINDOWS_PYTHON

from .archives import REPOSITORY, build_twice, check

SMOKE = Path(__file__).with_name("smoke.py")
DEADLINE = 60.0  # seconds for one run of it


def main() -> int:
    parser = argparse.ArgumentParser(prog="wheel", description=__doc__)
    parser.add_argument("--native", action="store_true", help="this Python, not one on Windows")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        wheel, sdist = build_twice(REPOSITORY / "dist")
        check(wheel, sdist)
        with tempfile.TemporaryDirectory() as folder:
            use(wheel, Path(folder), windows=False)
            if sys.platform != "win32" and not options.native:
                use(wheel, Path(folder), windows=True)
    except subprocess.SubprocessError as exc:
        print("wheel: FAILED:", exc)
        return 1
    print(f"wheel: passed in {time.monotonic() - begin:.0f} s")
    return 0


def use(wheel: Path, folder: Path, *, windows: bool) -> None:
    """Install the wheel alone and use it, then with the extra."""
    venv = folder / ("windows" if windows else "native")
    print(f"in {'a Windows CPython, on Wine' if windows else sys.platform}:", flush=True)
    for requirement, *option in (str(wheel),), (f"{wheel}[cli]", "--cli"):
        create = create_windows if windows else create_native
        command = create(venv, requirement)
        subprocess.run(
            [*command, "-I", SMOKE, *option],
            check=True,
            cwd=folder,
            env={**os.environ, "WINPYTHON_VENV": str(venv)},
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE,
        )


def create_native(venv: Path, requirement: str) -> tuple[str, ...]:
    """Create a virtual environment of this Python, and return how to start it."""
    uv = (sys.executable, "-m", "uv", "--quiet")
    python = str(venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, venv], check=True)
    subprocess.run([*uv, "pip", "install", "--python", python, requirement], check=True)
    return (python,)


def create_windows(venv: Path, requirement: str) -> tuple[str, ...]:
    """Create a virtual environment of a Windows Python, which WINPYTHON_VENV selects."""
    virtual = (sys.executable, "-m", "tools.wine.virtual")
    subprocess.run([*virtual, venv, requirement], check=True, timeout=SET_UP)
    return WINDOWS_PYTHON


if __name__ == "__main__":
    sys.exit(main())
