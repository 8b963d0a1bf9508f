"""The machine that the subjects run on: Windows, or Wine on Linux with a wineserver of its own."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from .processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """How to start what runs on Windows.

    Attributes:
      name: what the results say they were measured on.
      launcher: what comes before the name of a program that runs on Windows.
      python: its Python.
      environ: the variables for both.
      server: the process that is the kernel's stand-in, if there is one.
      folder: the working directory of the subjects, which has the package that they import.
      pinning: which processor does what.
    """

    name: str
    launcher: tuple[str, ...]
    python: str
    environ: Mapping[str, str]
    server: int | None = None
    folder: Path = REPOSITORY
    pinning: str = "nothing is pinned to a processor, so the figures wander"

    def with_package(self, folder: Path) -> Machine:
        """Return the same machine, on which the package in this folder is the one imported.

        What ``python -m`` starts is looked for in the working directory first.
        """
        path = f"{windows_path(folder)};{self.environ['PYTHONPATH']}"
        return replace(self, environ={**self.environ, "PYTHONPATH": path}, folder=folder)


def windows_path(path: Path) -> str:
    if sys.platform == "win32":
        return str(path)
    from tests.wine import prefix

    return prefix.windows_path(path)


@contextmanager
def windows(packages: Path) -> Iterator[Machine]:
    """Give the machine, with this folder of Python packages, for as long as the block lasts."""
    if sys.platform != "win32":
        from .wine import wine

        with wine(packages) as machine:
            yield machine
    else:
        path = os.pathsep.join([str(REPOSITORY), str(packages)])
        environ = {**os.environ, "PYTHONPATH": path}
        yield Machine("Windows", (), sys.executable, environ)


def busy_seconds() -> float:
    """Return the time that all processors together have not been idle so far, in seconds."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


class Others:
    """How much processor time other programs have used since then.

    Ours are this process, and those that it has started and that have ended.
    """

    def __init__(self) -> None:
        self._begin = self._now()

    @staticmethod
    def _now() -> float:
        return busy_seconds() - sum(os.times()[:4])

    def seconds(self) -> float:
        return max(0.0, self._now() - self._begin)
