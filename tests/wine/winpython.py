"""Runs Python code with a Windows CPython: ``python tests/wine/winpython.py SCRIPT [ARGS…]``.

The arguments are those of `python` itself (``-m MODULE``, ``-c CODE``, ``-X …``), the package is importable, and the
standard streams and the exit status are passed through. On Windows that is simply this Python; on Linux it is a real
Windows CPython under Wine, which the first use sets up.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    if sys.platform == "win32":
        path = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
        return subprocess.call([sys.executable, *sys.argv[1:]], env={**os.environ, "PYTHONPATH": path})

    sys.path[0] = str(HERE.parent)
    from wine.environment import ensure
    from wine.problem import Problem
    from wine.relay import run

    try:
        return run(ensure(), sys.argv[1:])
    except Problem as problem:
        print(f"winpython: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
