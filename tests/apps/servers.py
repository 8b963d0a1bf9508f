"""Hypercorn and its relative anycorn, unmodified, in a process of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.programs import environment
from tools.children import child

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that a server may live.
DEADLINE = 300.0
#: Seconds that it may take to end.
PATIENCE = 30.0
#: Any free port.
FREE = "127.0.0.1:0"
PATCHED = ("-m", "trio_wsarecv", "run")


class Server:
    """A server that has been started.

    Attributes:
      urls: where it answers, by scheme.
      log: what it has written to its standard error.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.urls: dict[str, str] = {}
        self.log: list[str] = []
        self._process = process
        self._reader = threading.Thread(target=self._read, daemon=True)

    def start(self, number: int) -> None:
        """Wait until it answers on so many addresses."""
        assert self._process.stderr is not None
        while len(self.urls) < number:
            line = self._process.stderr.readline()
            self.log.append(line)
            assert line, self.log
            if found := re.search(r"Running on ((https?)://\S+)", line):
                self.urls[found[2]] = found[1]
        self._reader.start()

    def wait(self) -> int:
        """Wait until it has ended of its own accord, and return its exit status."""
        status = self._process.wait(PATIENCE)
        self._reader.join()
        return status

    def _read(self) -> None:
        assert self._process.stderr is not None
        self.log += self._process.stderr


@contextmanager
def serving(
    *options: str,
    module: str = "hypercorn",
    addresses: int = 1,
    application: str = "tests.apps.application:app",
) -> Iterator[Server]:
    """Serve an application on free ports, for as long as the block lasts."""
    command = [sys.executable, *PATCHED, "-m", module, "--worker-class=trio"]
    command += [f"--bind={FREE}", *options, application]
    with child(command, DEADLINE, env=environment(), stderr=subprocess.PIPE) as process:
        server = Server(process)
        server.start(addresses)
        yield server
