"""Compiles what is written in C, and installs the tools that this needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "native"
OPTIONS: Final = ("-O2", "-Wall", "-Wextra", "-Werror")
ON_WINDOWS: Final = "gcc" if sys.platform == "win32" else "x86_64-w64-mingw32-gcc"
#: Debian's packages with the tools, besides those that the Windows CPython needs.
TOOLS: Final = {"gcc": ["gcc", "libc6-dev"], "wrk": ["wrk"]}


def ensure_tools() -> None:
    """Install the tools that are missing, where that is possible."""
    if sys.platform == "linux":
        from tools.wine.system import COMMANDS, install_missing_packages

        install_missing_packages({**COMMANDS, **TOOLS})


def build(name: str, folder: Path, compiler: str, *options: str) -> Path:
    target = folder / f"{name}.exe"
    command = [compiler, *OPTIONS, str(SOURCES / f"{name}.c"), "-o", str(target), *options]
    subprocess.run(command, check=True)
    return target
