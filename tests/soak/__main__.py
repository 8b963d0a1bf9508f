"""Starts the soak test: a peer in a process of this system, and the process under test.

That one is a Windows CPython, or with ``--native`` this Python.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys

from tests.children import SET_UP, WINDOWS_PYTHON, child

#: Seconds that all may take beyond the time asked for, set-up excluded.
GRACE = 150.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long (default: 180)")
    parser.add_argument("--connections", type=int, default=1000, help="at once (default: 1000)")
    parser.add_argument("--seed", type=int, help="of all that the process under test chooses")
    parser.add_argument("--native", action="store_true", help="this Python, not one on Windows")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    python = [sys.executable] if options.native else list(WINDOWS_PYTHON)
    if not options.native:
        subprocess.run([*python, "-c", "pass"], check=True, timeout=SET_UP)
    print(f"soak: {options.connections} connections, {options.seconds:.0f} s, --seed {seed}")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.soak.peer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as peer:
        assert peer.stdout is not None
        port = peer.stdout.readline().strip()
        arguments = [port, str(options.seconds), str(options.connections), str(seed)]
        command = [*python, "-u", "-m", "tests.soak.client", *arguments]
        with child(command, options.seconds + GRACE) as process:
            status = process.wait()
        peer.kill()
    print("soak:", "passed" if status == 0 else f"FAILED, exit status {status}")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
