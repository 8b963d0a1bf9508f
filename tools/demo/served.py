"""What the demonstration's programs connect to: a large file, and servers in this system."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.children import child

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
DEADLINE = 300.0


class Problem(Exception):
    """The demonstration cannot continue."""


def write_sources(path: Path, at_least: int) -> None:
    """Write the sources of the standard library into a file, again and again, up to that size."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    with path.open("wb") as file:
        while file.tell() < at_least:
            for module in modules:
                file.write(f"# {module.name}\n".encode() + module.read_bytes())


@contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """Serve a folder with ``python -m http.server``; gives its URL."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", HOST, "0"]
    with child(
        command, DEADLINE, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not (match := re.search(r"\((http://\S+)/\)", line)):
            raise Problem(f"http.server did not start: {line!r}")
        yield match[1]


@contextmanager
def echo_server() -> Iterator[tuple[str, int]]:
    """Accept one connection, and send back what it sends; gives the address."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(DEADLINE)
            while data := connection.recv(4096):
                connection.sendall(data)

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(DEADLINE)
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()
