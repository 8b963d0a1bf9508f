"""Hypercorn and its relative anycorn in a process of their own, and what it has received."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

import trio_wsarecv
from tests.programs import environment
from tools.children import child

on_windows = sys.platform == "win32"

DEADLINE = 300.0  # seconds that a server may live
PATIENCE = 30.0  # seconds that it may take to end
FREE = "127.0.0.1:0"  # any free port


class Server:
    """A server that answers on so many addresses.

    Attributes:
      urls: where it answers, by scheme.
      log: what it has written to its standard error.
    """

    def __init__(self, process: subprocess.Popen[str], addresses: int) -> None:
        self.urls: dict[str, str] = {}
        self.log: list[str] = []
        self._process = process
        stderr: Any = process.stderr
        while len(self.urls) < addresses:
            self.log.append(stderr.readline())
            assert self.log[-1], self.log
            if found := re.search(r"Running on ((https?)://\S+)", self.log[-1]):
                self.urls[found[2]] = found[1]
        self._reader = threading.Thread(target=lambda: self.log.extend(stderr), daemon=True)
        self._reader.start()

    def check_end(self) -> None:
        """Wait until it has ended by itself, and check that it did so without errors."""
        status = self._process.wait(PATIENCE)
        self._reader.join()
        assert status == 0, "".join(self.log)
        assert [line for line in self.log if "[INFO]" not in line] == []


@contextmanager
def serving(
    *options: str,
    module: str = "hypercorn",
    addresses: int = 1,
    application: str = "tests.apps.application:app",
) -> Iterator[Server]:
    """Serve an application on free ports, for as long as the block lasts."""
    command = [*(sys.executable, "-m", "trio_wsarecv", "run", "-m", module, "--worker-class=trio")]
    command += [f"--bind={FREE}", *options, application]
    with child(command, DEADLINE, env=environment(), stderr=subprocess.PIPE) as process:
        yield Server(process, addresses)


def connect(
    url: str, trust: ssl.SSLContext | bool = False, *, http2: bool = False
) -> httpx.AsyncClient:
    """Return a client on sockets of this package."""
    trio_wsarecv.install()
    return httpx.AsyncClient(base_url=url, verify=trust, http2=http2, timeout=30, trust_env=False)


def check_received(
    before: Mapping[str, int], after: Mapping[str, int], nbytes: int, *, failures: int = 0
) -> None:
    """Check by statistics that a process received so many bytes, or more, overlapped.

    Off Windows nothing is patched, and nothing is counted.  So many `failures` are allowed.
    """
    gained = {name: after[name] - before[name] for name in after}
    if not on_windows:
        assert not any(gained.values()), gained
        return
    assert gained["bytes"] >= nbytes, gained
    assert gained["failed"] <= failures, gained
    # If a peer is quicker, few receives or none have to wait.
    assert after["wsarecv_calls"] >= after["overlapped"] > 0, after
    assert (after["overlapped_sockets"] > 0, after["readiness_sockets"]) == (True, 0), after
