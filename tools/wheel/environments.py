"""Virtual environments with nothing else in them: of this Python, and of a Windows one on Wine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.children import SET_UP, WINDOWS_PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """A Python that has nothing importable but what was asked for."""

    name: str
    #: Makes it anew, for requirements that ``uv pip install`` takes.
    create: Callable[..., None]
    command: tuple[str, ...]
    environ: dict[str, str]

    def run(self, script: Path, *arguments: str, cwd: Path, seconds: float) -> None:
        subprocess.run(
            [*self.command, "-I", script, *arguments],
            check=True,
            cwd=cwd,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )


def native(folder: Path) -> Environment:
    uv = (sys.executable, "-m", "uv", "--quiet")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def create(*requirements: str) -> None:
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*uv, "pip", "install", "--python", python, *requirements], check=True)

    return Environment(f"this Python, on {sys.platform}", create, (str(python),), {})


def windows(folder: Path) -> Environment:
    def create(*requirements: str) -> None:
        virtual = (sys.executable, "-m", "tools.wine.virtual")
        subprocess.run([*virtual, folder, *requirements], check=True, timeout=SET_UP)

    environ = {"WINPYTHON_VENV": str(folder)}
    return Environment("a Windows CPython, on Wine", create, WINDOWS_PYTHON, environ)
