"""A Debian in a folder, and programs in it that end, and leave nothing mounted, whatever happens.

They run in a mount and a process namespace of their own.  Once the first of them has ended, or been
killed, the kernel ends the others and forgets what was mounted; and it is killed when we end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

assert sys.platform != "win32"

from tools.wine.lock import locked  # noqa: E402
from tools.wine.speak import check_call  # noqa: E402
from tools.wine.system import APT_INSTALL  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACES = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
ISOLATED = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES]

# The shell does not become the program, but stays: as the first process it gets all orphans.
ENTER = """
for name in dev proc sys; do mount --rbind "/$name" "$1/$name"; done
chroot "$@"
exit
"""


def ensure(root: Path, suite: str, env: Mapping[str, str]) -> None:
    """Have a bare Debian in the folder ``root``, where it appears once it is complete.

    :raises Problem: it cannot be had; the text says why.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.parent / "lock", "waiting for another process that is setting up"):
        if root.exists():
            return
        for leftover in root.parent.glob(".building-*"):
            shutil.rmtree(leftover)
        if not shutil.which("debootstrap"):
            check_call(["apt-get", "update"])
            check_call([*APT_INSTALL, "debootstrap"])
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=".building-") as folder:
            new = Path(folder, "root")
            # Certificates now: were they installed later, this machine's would be overwritten.
            options = ["--variant=minbase", "--include=ca-certificates"]
            check_call([*ISOLATED, "debootstrap", *options, suite, new], env=env)
            new.rename(root)


def run(root: Path, script: str, env: Mapping[str, str], deadline: float) -> int:
    """Run a shell script there, and return its exit status."""
    command = [*ISOLATED, "sh", "-euc", ENTER, "sh", str(root), "sh", "-euc", script]
    return subprocess.call(command, env=env, stdin=subprocess.DEVNULL, timeout=deadline)
