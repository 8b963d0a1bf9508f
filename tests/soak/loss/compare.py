"""Compares how many bytes cancelled receives lose: ``python -m tests.soak.loss.compare``.

A sender sends 32 MiB in pieces of 16 KiB, a random moment apart.  Each library receives them in a
Windows CPython; each receive is given 0 to 2 ms, is cancelled then, and another begun.  All that
matters is how many bytes its receives gave in the end.

With ``--write`` the results go into the documentation, too.  The exit status is 1 if trio_wsarecv
lost anything, if too few receives were cancelled to say so, or if a program could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tools import packages
from tools.children import SET_UP, WINDOWS_PYTHON, child

from .program import MARK, PAUSE, PIECE, TOTAL

RESULTS = Path(__file__).parents[3] / "docs" / "loss-results.inc"
LIBRARIES = ("asyncio", "winloop", "trio", "trio_wsarecv")
DEADLINE = 240.0  # seconds for each program
CANCELLED = 100  # the fewest cancelled receives that say anything
HEADER = ("Library", "Receives cancelled", "Bytes received", "Bytes lost", "Of all")


def send(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    piece = bytes(PIECE)
    with sock, suppress(ConnectionError):
        for _ in range(TOTAL // PIECE):
            time.sleep(random.uniform(0, PAUSE))
            sock.sendall(piece)


def measure(name: str, python: list[str]) -> tuple[str, int, int]:
    """Run a program; return its library, how many receives were cancelled, and the bytes."""
    path = [str(packages.ensure("benchmarks/requirements.txt")), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=send, args=(listener,), daemon=True).start()
        port = str(listener.getsockname()[1])
        command = [*python, "-m", "tests.soak.loss.program", name, port]
        with child(command, DEADLINE, stdout=subprocess.PIPE, env=environ) as process:
            output, _ = process.communicate()
    for line in output.splitlines():
        if line.startswith(MARK):
            library, cancelled, received = json.loads(line.removeprefix(MARK))
            return library, cancelled, received
    sys.exit(f"{name}: no answer, exit status {process.returncode}\n{output}")


def system(native: bool) -> str:
    if native or sys.platform == "win32":
        return sys.platform
    version = subprocess.check_output(["wine", "--version"], text=True)
    return f"Windows CPython on Wine {version.split()[0].removeprefix('wine-')}"


def as_rst(rows: list[tuple[str, ...]], where: str) -> str:
    lines = [
        ".. Written by tests/soak/loss/compare.py --write.",
        f"\nOf {TOTAL:,} bytes, measured on {where}:\n",
        ".. list-table::\n   :header-rows: 1\n   :class: figures\n",
    ]
    for first, *rest in rows:
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="loss", description=__doc__)
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=", ".join(LIBRARIES))
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}, too")
    parser.add_argument("--native", action="store_true", help="this Python, not one on Windows")
    options = parser.parse_args()
    python = [sys.executable] if options.native else list(WINDOWS_PYTHON)
    if not options.native:
        subprocess.run([*python, "-c", "pass"], check=True, timeout=SET_UP)
    rows: list[tuple[str, ...]] = [HEADER]
    status = 0
    for name in options.libraries or LIBRARIES:
        library, cancelled, received = measure(name, python)
        lost = TOTAL - received
        figures = (f"{figure:,}" for figure in (cancelled, received, lost))
        rows.append((library, *figures, f"{lost / TOTAL:.2%}"))
        if cancelled < CANCELLED:
            print(f"{name}: only {cancelled} receives were cancelled")
            status = 1
        if lost and name == "trio_wsarecv":
            status = 1
    print(f"Of {TOTAL:,} bytes, on {system(options.native)}:")
    for first, *rest in rows:
        print(f"{first:42}", *(f"{cell:>18}" for cell in rest))
    if options.write:
        RESULTS.write_text(as_rst(rows, system(options.native)), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
