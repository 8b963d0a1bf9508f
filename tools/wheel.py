"""Builds the wheel and the sdist into ``dist``, and uses the wheel with nothing else installed.

They are built twice, in two places, with the same bytes.  The second build is from the unpacked
sdist of the first, which shows that it holds all that building needs.  The environments are of this
Python and, without ``--native``, of a Windows CPython.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.children import SET_UP, WINDOWS_PYTHON

REPOSITORY = Path(__file__).parents[1]
SMOKE = Path(__file__).with_name("smoke.py")
DEADLINE = 60.0  # seconds for one run of it


def run_module(name: str, *arguments: str | Path, **options: Any) -> None:
    subprocess.run([sys.executable, "-m", name, *arguments], check=True, **options)


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it."""
    run_module("build", "--quiet", "--installer=uv", f"--outdir={target}", source)
    (wheel,), (sdist,) = target.glob("*-py3-none-any.whl"), target.glob("*.tar.gz")
    return wheel, sdist


def build_twice(target: Path, scratch: Path) -> Path:
    """Replace this folder by one with the wheel and the sdist, and return the wheel."""
    wheel, sdist = build(REPOSITORY, scratch / "first")
    shutil.unpack_archive(sdist, scratch / "unpacked")
    (unpacked,) = (scratch / "unpacked").iterdir()
    for one, other in zip((wheel, sdist), build(unpacked, scratch / "second"), strict=True):
        digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (one, other)}
        print(*digests, one.name, flush=True)
        if len(digests) > 1 or one.name != other.name:
            sys.exit(f"the second build differs: {other.name}")
    run_module("twine", "check", "--strict", wheel, sdist)
    run_module("check_wheel_contents", wheel)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(scratch / "first", target)
    return target / wheel.name


def use(wheel: Path, venv: Path, *, windows: bool) -> None:
    """Install the wheel alone and use it, then with the extra."""
    print(f"in {'a Windows CPython, on Wine' if windows else sys.platform}:", flush=True)
    for requirement, *option in (str(wheel),), (f"{wheel}[cli]", "--cli"):
        if windows:
            run_module("tools.wine.virtual", venv, requirement, timeout=SET_UP)
            command = [*WINDOWS_PYTHON]
        else:
            python = venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
            run_module("uv", "--quiet", "venv", "--clear", "--python", sys.executable, venv)
            run_module("uv", "--quiet", "pip", "install", "--python", python, requirement)
            command = [str(python)]
        subprocess.run(
            [*command, "-I", SMOKE, *option],
            check=True,
            cwd=venv.parent,
            env={**os.environ, "WINPYTHON_VENV": str(venv)},
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="wheel", description=__doc__)
    parser.add_argument("--native", action="store_true", help="this Python, not one on Windows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_twice(REPOSITORY / "dist", Path(folder))
        use(wheel, Path(folder, "native"), windows=False)
        if sys.platform != "win32" and not options.native:
            use(wheel, Path(folder, "windows"), windows=True)
    print("wheel: passed")


if __name__ == "__main__":
    main()
