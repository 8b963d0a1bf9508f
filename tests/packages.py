"""What only the benchmarks need on the Windows side, winloop, in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def ensure() -> Path:
    """Return the folder, filled on first use; on Windows, nox has installed the packages itself."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "trio_wsarecv" / "bench" / f"{VERSION}-{digest}"
    if sys.platform == "win32" or folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        new = Path(scratch) / "packages"
        platform = ["--platform", "win_amd64", "--python-version", VERSION, "--implementation=cp"]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--require-hashes", *platform]
        command += ["--target", str(new), "-r", str(REQUIREMENTS)]
        subprocess.run(command, check=True)
        new.rename(folder)
    return folder
