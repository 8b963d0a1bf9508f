"""The machine that the subjects run on: Windows, or Wine on Linux with a wineserver of its own."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Machine:
    """How to start what runs on Windows.

    Attributes:
      name: what the results say they were measured on.
      launcher: what comes before the name of a program that runs on Windows.
      python: its Python.
      environ: the variables for both.
      generator_launcher: what comes before the name of the load generator.
      receiver_launcher: what comes before the name of a native receiver.
      server: the process that is the kernel's stand-in, if there is one.
    """

    name: str
    launcher: tuple[str, ...]
    python: str
    environ: Mapping[str, str]
    generator_launcher: tuple[str, ...] = ()
    receiver_launcher: tuple[str, ...] = ()
    server: int | None = None


@contextmanager
def windows(packages: Path, *, pinned: bool = True) -> Iterator[Machine]:
    """Give the machine, for as long as the block lasts.

    Args:
      packages: a folder of Python packages for the Windows side, beside what it has.
      pinned: whether to share the processors out, where Wine is the machine; see `wine`.
    """
    if sys.platform != "win32":
        from .wine import wine

        with wine(packages, pinned=pinned) as machine:
            yield machine
    else:
        path = os.pathsep.join([str(REPOSITORY), str(packages)])
        environ = {**os.environ, "PYTHONPATH": path}
        yield Machine("Windows", (), sys.executable, environ)
