"""Starts the soak tests, of streams and of datagrams, one after the other.

Each has its peers in a process of this system, and the process under test: a Windows CPython, or
with ``--native`` this Python.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path

from tools.children import SET_UP, WINDOWS_PYTHON, child

#: Seconds that all may take beyond the time asked for, set-up excluded.
GRACE = 150.0
#: Datagrams that are received in a second at least, on a slow machine.
SLOWEST = 2000


def run(peers: str, module: str, python: list[str], arguments: list[str], limit: float) -> int:
    """Run a soak test for no longer than this; return its exit status."""
    with subprocess.Popen(
        [sys.executable, "-m", peers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as peer:
        assert peer.stdout is not None
        port = peer.stdout.readline().strip()
        with child([*python, "-u", "-m", module, port, *arguments], limit) as process:
            status = process.wait()
        peer.kill()
    return status


def dropped() -> int:
    """Count the datagrams that this kernel had no room for, in all its sockets."""
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

    failed = 0
    if options.seconds:
        print(f"soak: {options.connections} connections, {options.seconds:.0f} s, --seed {seed}")
        arguments = [str(options.seconds), str(options.connections), str(seed)]
        modules = "tests.soak.peer", "tests.soak.client"
        failed += run(*modules, python, arguments, options.seconds + GRACE) != 0
    if options.datagrams:
        print(f"soak: {options.datagrams:,} datagrams, --seed {seed}", flush=True)
        before = dropped()
        limit = options.datagrams / SLOWEST + GRACE
        modules = "tests.soak.datagram_peer", "tests.soak.datagrams"
        failed += run(*modules, python, [str(options.datagrams), str(seed)], limit) != 0
        print(f"datagrams dropped by the kernel: {dropped() - before}")
    print("soak:", "FAILED" if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
