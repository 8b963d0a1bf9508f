"""What reaches the registries of Debian and PyPI from this machine, and so from a folder of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

#: Proxies, certificates and package indexes.
VARIABLES = re.compile(r"(?i:\w+_proxy)|PIP_\w+|UV_\w+|SSL_CERT_\w+|\w+_CA_BUNDLE")

FILES = [
    *("/etc/hosts", "/etc/resolv.conf"),
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"),
    str(Path.home() / ".config/pip/pip.conf"),
]


def environ() -> dict[str, str]:
    """Return the environment variables to start programs with."""
    settings = {name: value for name, value in os.environ.items() if VARIABLES.fullmatch(name)}
    return settings | {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def copy(root: Path) -> None:
    """Copy the files, those that the variables name among them, into the folder ``root``."""
    for name in {*FILES, *environ().values()}:
        target = root / name.lstrip("/")
        if name.startswith("/") and Path(name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(name, target)
    apt = ["apt-config", "dump", "Acquire::http", "Acquire::https"]
    (root / "etc/apt/apt.conf.d/90host").write_bytes(subprocess.check_output(apt))
