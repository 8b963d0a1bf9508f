"""Runs the soak test of streams, then that of datagrams.

Each has its peers in a process of this system, and the process under test: a Windows CPython, or
with ``--native`` this Python.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.children import SET_UP, WINDOWS_PYTHON, child

#: Seconds that a test may take longer than the time asked for, without set-up.
GRACE = 150.0
#: Datagrams per second that even a slow machine receives.
SLOWEST = 2000


@contextmanager
def peers() -> Iterator[list[str]]:
    """Start the peers, and give their ports for streams and for datagrams."""
    command = [sys.executable, "-m", "tests.soak.peers"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()
        process.kill()


def passes(name: str, python: list[str], limit: float, *arguments: object) -> bool:
    """Run a soak test with a time limit in seconds; return whether it passes."""
    command = [*python, "-u", "-m", f"tests.soak.{name}", *map(str, arguments)]
    with child(command, limit) as process:
        return process.wait() == 0


def dropped() -> int:
    """Count the datagrams that this kernel has dropped for lack of room, on all sockets."""
    table = Path("/proc/net/snmp")
    if not table.exists():
        return 0
    names, values = (line.split() for line in table.read_text().splitlines() if "Udp:" in line)
    return int(values[names.index("RcvbufErrors")])


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

    passed = True
    with peers() as (streams, datagrams):
        if options.seconds:
            wanted = (options.seconds, options.connections, seed)
            print("soak: {1} connections, {0:.0f} s, --seed {2}".format(*wanted))
            passed &= passes("streams", python, options.seconds + GRACE, streams, *wanted)
        if options.datagrams:
            print(f"soak: {options.datagrams:,} datagrams, --seed {seed}", flush=True)
            before = dropped()
            limit = options.datagrams / SLOWEST + GRACE
            passed &= passes("datagrams", python, limit, datagrams, options.datagrams, seed)
            print(f"datagrams dropped by the kernel: {dropped() - before}")
    print("soak:", "passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
