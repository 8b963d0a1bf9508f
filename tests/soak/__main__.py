"""Runs the soak test of streams, then that of datagrams.

The peers are in this process.  The process under test is a Windows CPython, or with ``--native``
this Python.
"""

from __future__ import annotations

import argparse
import queue
import random
import subprocess
import sys
import threading

import trio

from tools.children import SET_UP, WINDOWS_PYTHON, child

from .account import raise_file_limit
from .peers import serve

GRACE = 150.0  # seconds that a test may take longer than the time asked for
SLOWEST = 2000  # datagrams per second that even a slow machine receives


def passes(name: str, python: list[str], limit: float, *arguments: object) -> bool:
    """Run a soak test with a time limit in seconds; return whether it passes."""
    command = [*python, "-u", "-m", f"tests.soak.{name}", *map(str, arguments)]
    with child(command, limit) as process:
        return process.wait() == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="of streams (default: 180)")
    parser.add_argument("--connections", type=int, default=1000, help="at once (default: 1000)")
    parser.add_argument("--datagrams", type=int, default=1_000_000, help="(default: 1000000)")
    parser.add_argument("--seed", type=int, help="of all that the process under test chooses")
    parser.add_argument("--native", action="store_true", help="this Python, not one on Windows")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    python = [sys.executable] if options.native else list(WINDOWS_PYTHON)
    if not options.native:
        subprocess.run([*python, "-c", "pass"], check=True, timeout=SET_UP)

    raise_file_limit()
    ports: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    threading.Thread(target=trio.run, args=(serve, ports.put), daemon=True).start()
    streams, datagrams = ports.get(timeout=10)
    passed = True
    if options.seconds:
        wanted = (options.seconds, options.connections, seed)
        print("soak: {1} connections, {0:.0f} s, --seed {2}".format(*wanted), flush=True)
        passed &= passes("streams", python, options.seconds + GRACE, streams, *wanted)
    if options.datagrams:
        print(f"soak: {options.datagrams:,} datagrams, --seed {seed}", flush=True)
        limit = options.datagrams / SLOWEST + GRACE
        passed &= passes("datagrams", python, limit, datagrams, options.datagrams, seed)
    print("soak:", "passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
