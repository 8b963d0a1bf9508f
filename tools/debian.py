"""Does in a bare Debian 13 in a folder what the README tells a new user to do there.

``python -m tools.debian SESSIONS…`` runs sessions of nox: by default the demonstration and the
tests.  It needs root, and keeps what it installs in the user's cache.

What runs there leaves no process and no mount behind, for it has a mount and a process namespace of
its own.  When the first of the processes has ended, or been killed, the kernel ends the others and
removes the mounts; and it is killed when we end.
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

from tools.wine.environment import REPOSITORY  # noqa: E402
from tools.wine.system import APT_INSTALL, check_call  # noqa: E402

SUITE = "trixie"
DEADLINE = 3600.0  # seconds
NAMESPACES = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
ISOLATED = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES]

# `exit` keeps the shell from executing the program in its place: it has to reap all orphans.
ENTER = """
for name in dev proc sys; do mount --rbind "/$name" "$1/$name"; done
chroot "$@"
exit
"""
SCRIPT = """
cd /trio_wsarecv
apt-get update
apt-get install -y python3-venv
python3 -m venv .venv
.venv/bin/pip install nox
.venv/bin/nox -s {sessions}
"""
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".nox", ".venv", ".hypothesis", ".*_cache", "__pycache__", "dist", "_build"),
)

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


def install(root: Path) -> None:
    """Install a bare Debian in the folder ``root``, which appears when it is complete."""
    if not shutil.which("debootstrap"):
        check_call(["apt-get", "update"])
        check_call([*APT_INSTALL, "debootstrap"])
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        # Certificates installed later would overwrite those of this machine.
        options = ["--variant=minbase", "--include=ca-certificates", SUITE, f"{folder}/root"]
        check_call([*ISOLATED, "debootstrap", *options], env=environ())
        Path(folder, "root").rename(root)


def run(root: Path, script: str, deadline: float) -> int:
    """Run a shell script there, and return its exit status."""
    command = [*ISOLATED, "sh", "-euc", ENTER, "sh", str(root), "sh", "-euc", script]
    return subprocess.call(command, env=environ(), stdin=subprocess.DEVNULL, timeout=deadline)


def main() -> int:
    if os.geteuid() != 0:
        sys.exit("a Debian in a folder needs root")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(home, "trio_wsarecv", "debian", SUITE).absolute()
    print(f"Debian 13 in {root} (the first time takes some minutes)", flush=True)
    if not root.exists():
        install(root)
    copy_settings(root)
    shutil.rmtree(root / "trio_wsarecv", ignore_errors=True)
    shutil.copytree(REPOSITORY, root / "trio_wsarecv", ignore=NOT_COPIED)
    return run(root, SCRIPT.format(sessions=" ".join(sys.argv[1:] or ["demo", "tests"])), DEADLINE)


if __name__ == "__main__":
    sys.exit(main())
