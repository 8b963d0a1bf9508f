"""Builds the environment under another name and renames it when it is complete."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .interpreter import create_interpreter
from .prefix import create_prefix
from .speak import say


def build(root: Path) -> None:
    """Create the folder `root`; only one process at a time may do this in the folder around it."""
    say(f"setting up a Windows CPython in {root} (once, about a minute)")
    for leftover in root.parent.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".building-") as folder:
        scratch, new = Path(folder, "scratch"), Path(folder, "new")
        for path in (scratch, new, new / "python", new / "prefix"):
            path.mkdir()
        create_interpreter(new / "python", scratch)
        create_prefix(new / "prefix", scratch)
        new.rename(root)
    say("ready")
