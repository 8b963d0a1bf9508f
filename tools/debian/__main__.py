"""Does in a bare Debian 13 what the README tells a new user to do there.

``python -m tools.debian SESSIONS…`` runs sessions of nox: by default the demonstration and the
tests.  It needs root, and keeps what it installs in the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

assert sys.platform != "win32"

from tools.wine.environment import REPOSITORY  # noqa: E402
from tools.wine.system import Problem  # noqa: E402

from . import chroot  # noqa: E402

SUITE = "trixie"
DEADLINE = 3600.0  # seconds

NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".nox", ".venv", ".hypothesis", ".*_cache", "__pycache__", "dist", "_build"),
)
SCRIPT = """
cd /trio_wsarecv
apt-get update
apt-get install -y python3-venv
python3 -m venv .venv
.venv/bin/pip install nox
.venv/bin/nox -s {sessions}
"""


def main() -> int:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(home, "trio_wsarecv", "debian", SUITE).absolute()
    try:
        if os.geteuid() != 0:
            raise Problem("a Debian in a folder needs root")
        print(f"Debian 13 in {root} (the first time takes some minutes)", flush=True)
        chroot.ensure(root, SUITE)
        chroot.copy_settings(root)
        shutil.rmtree(root / "trio_wsarecv", ignore_errors=True)
        shutil.copytree(REPOSITORY, root / "trio_wsarecv", ignore=NOT_COPIED)
        script = SCRIPT.format(sessions=" ".join(sys.argv[1:] or ["demo", "tests"]))
        return chroot.run(root, script, DEADLINE)
    except (Problem, subprocess.TimeoutExpired) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
