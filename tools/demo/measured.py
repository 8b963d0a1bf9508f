"""Runs a module as `python -m` would, then prints the statistics of the package, as JSON.

``measured.py MODULE ARGS…``; without them, it only says what Python this is.
"""

import atexit
import dataclasses
import json
import platform
import runpy
import sys

import trio

import trio_wsarecv
from tools.windows import SYSTEM


@atexit.register
def report() -> None:
    python = f"Python {platform.python_version()}, sys.platform {sys.platform}, under {SYSTEM}"
    statistics = dataclasses.asdict(trio_wsarecv.statistics())
    print(json.dumps({"python": f"{python}, Trio {trio.__version__}", **statistics}))


del sys.argv[0]
if sys.argv:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
