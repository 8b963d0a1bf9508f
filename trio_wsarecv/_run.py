"""Running an unmodified Trio program with its receives overlapped."""

from __future__ import annotations

import os
import runpy
import sys
from typing import TYPE_CHECKING

from ._install import patch_trio

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_script(path: str, arguments: Sequence[str]) -> None:
    """Run a script as ``python path arguments…`` would, with `patch_trio` in force."""
    patch_trio()
    sys.argv[:] = [path, *arguments]
    if not os.path.isdir(path):
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    runpy.run_path(path, run_name="__main__")


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module as ``python -m name arguments…`` would, with `patch_trio` in force."""
    patch_trio()
    sys.argv[:] = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
