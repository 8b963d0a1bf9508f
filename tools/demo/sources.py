"""A large file with something in it: the standard library's own sources, over and over."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path

BLOCK = 1 << 20


def write_sources(path: Path, at_least: int) -> None:
    """Write the sources of all modules, in the order of their names, until that is enough."""
    library = Path(sysconfig.get_path("stdlib"))
    modules = sorted(library.glob("*.py"))
    with path.open("wb") as file:
        while file.tell() < at_least:
            for module in modules:
                file.write(f"# {module.name}\n".encode() + module.read_bytes())


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def spoil(path: Path) -> None:
    """Change one bit in the middle of a file."""
    with path.open("r+b") as file:
        middle = path.stat().st_size // 2
        file.seek(middle)
        [byte] = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 1]))
