"""Runs Python code with a Windows CPython: ``python tools/wine/winpython.py SCRIPT [ARGS…]``.

The arguments are those of `python` itself (``-m MODULE``, ``-c CODE``, ``-X …``), the package is
importable, and the standard streams, Ctrl-C and the exit status are passed through. On Windows that
is simply this Python; on Linux it is a real Windows CPython under Wine, which the first use sets
up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

if sys.platform == "win32":

    def main(args: list[str]) -> int:
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child answers Ctrl-C
        status = subprocess.call([sys.executable, *args], env={**os.environ, "PYTHONPATH": path})
        return status - (1 << 32) if status >> 31 else status  # sys.exit wants it signed

else:
    sys.path[0] = str(REPOSITORY)
    from tools.wine.relay import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
