"""Runs Python code with a Windows CPython: ``python tools/wine/winpython.py SCRIPT [ARGS…]``.

The arguments are those of `python` itself (``-m MODULE``, ``-c CODE``, ``-X …``). On Windows that
is simply this Python; on Linux it is a real Windows CPython under Wine, which the first use sets
up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = str(Path(__file__).resolve().parents[2])

if sys.platform == "win32":

    def main(args: list[str]) -> int:
        path = os.pathsep.join(filter(None, [REPOSITORY, os.environ.get("PYTHONPATH")]))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child answers Ctrl-C
        return subprocess.call([sys.executable, *args], env={**os.environ, "PYTHONPATH": path})

else:
    sys.path[0] = REPOSITORY
    from tools.wine.relay import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
