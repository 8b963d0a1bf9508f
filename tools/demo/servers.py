"""The other ends of the demonstration's connections: ordinary processes of this system."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.children import child

from .measure import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
DEADLINE = 300.0


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
def silent_server() -> Iterator[tuple[str, int]]:
    """Accept one connection, say nothing until spoken to, then give it back; gives the address."""

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
