"""Windows packages that only some tests need, in a folder for each file of requirements.

``python -m tools.packages REQUIREMENTS`` prints the folder with what that file lists.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def ensure(requirements: str) -> Path:
    """Return the folder, filled on first use; on Windows, nox has installed the packages itself."""
    file = REPOSITORY / requirements
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "trio_wsarecv" / file.parent.name / f"{VERSION}-{digest}"
    if sys.platform != "win32" and not folder.exists():
        from .wine.environment import pip

        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            new = Path(scratch) / "packages"
            pip(Path(scratch), "install", f"--target={new}", "-r", file)
            new.rename(folder)
    return folder


if __name__ == "__main__":
    print(ensure(sys.argv[1]))
