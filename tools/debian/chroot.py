"""A Debian in a folder, and programs in it that leave no process and no mount behind.

They run in a mount and a process namespace of their own.  When the first of them has ended, or been
killed, the kernel ends the others and removes the mounts; and it is killed when we end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

assert sys.platform != "win32"

from tools.wine.system import APT_INSTALL, check_call, locked  # noqa: E402

NAMESPACES = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
ISOLATED = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES]

# `exit` keeps the shell from executing the program in its place: it has to reap all orphans.
ENTER = """
for name in dev proc sys; do mount --rbind "/$name" "$1/$name"; done
chroot "$@"
exit
"""

#: What reaches the registries from this machine: proxies, certificates and package indexes.
VARIABLES = re.compile(r"(?i:\w+_proxy)|PIP_\w+|UV_\w+|SSL_CERT_\w+|\w+_CA_BUNDLE")
FILES = [
    *("/etc/hosts", "/etc/resolv.conf"),
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"),
    str(Path.home() / ".config/pip/pip.conf"),
]


def environ() -> dict[str, str]:
    """Return the environment variables for programs in the folder."""
    settings = {name: value for name, value in os.environ.items() if VARIABLES.fullmatch(name)}
    return settings | {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def copy_settings(root: Path) -> None:
    """Copy the files, and those that the variables name, into the folder ``root``."""
    for name in {*FILES, *environ().values()}:
        target = root / name.lstrip("/")
        if name.startswith("/") and Path(name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(name, target)
    apt = ["apt-config", "dump", "Acquire::http", "Acquire::https"]
    (root / "etc/apt/apt.conf.d/90host").write_bytes(subprocess.check_output(apt))


def ensure(root: Path, suite: str) -> None:
    """Install a bare Debian in the folder ``root``, which appears when it is complete.

    :raises Problem: that failed; the text says why.
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
            # Certificates installed later would overwrite those of this machine.
            options = ["--variant=minbase", "--include=ca-certificates"]
            check_call([*ISOLATED, "debootstrap", *options, suite, new], env=environ())
            new.rename(root)


def run(root: Path, script: str, deadline: float) -> int:
    """Run a shell script there, and return its exit status."""
    command = [*ISOLATED, "sh", "-euc", ENTER, "sh", str(root), "sh", "-euc", script]
    return subprocess.call(command, env=environ(), stdin=subprocess.DEVNULL, timeout=deadline)
