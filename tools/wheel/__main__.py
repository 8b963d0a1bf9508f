"""Builds the archives into ``dist``, and uses the wheel where nothing else is installed.

That is in this Python and, but for ``--native``, in a Windows CPython.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .archives import REPOSITORY, build_twice, check
from .environments import Environment, native, windows

SMOKE = Path(__file__).with_name("smoke.py")
DEADLINE = 60.0  # seconds for one run of it


def main() -> int:
    parser = argparse.ArgumentParser(prog="wheel", description=__doc__)
    parser.add_argument("--native", action="store_true", help="this Python, not one on Windows")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        wheel, sdist = build_twice(REPOSITORY / "dist")
        check(wheel, sdist)
        with tempfile.TemporaryDirectory() as folder:
            use(wheel, native(Path(folder, "native")), Path(folder))
            if sys.platform != "win32" and not options.native:
                use(wheel, windows(Path(folder, "windows")), Path(folder))
    except subprocess.SubprocessError as exc:
        print("wheel: FAILED:", exc)
        return 1
    print(f"wheel: passed in {time.monotonic() - begin:.0f} s")
    return 0


def use(wheel: Path, environment: Environment, cwd: Path) -> None:
    """Install the wheel alone and use it, then the same with the extra."""
    print(f"in {environment.name}:", flush=True)
    environment.create(str(wheel))
    environment.run(SMOKE, cwd=cwd, seconds=DEADLINE)
    environment.create(f"{wheel}[cli]")
    environment.run(SMOKE, "--cli", cwd=cwd, seconds=DEADLINE)


if __name__ == "__main__":
    sys.exit(main())
