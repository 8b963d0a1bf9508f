"""Runs a program as `python` would, then prints the statistics of the package, as JSON.

``measured.py SCRIPT ARGS…`` or ``measured.py -m MODULE ARGS…``; without either, it only says what
Python this is.
"""

import dataclasses
import json
import platform
import runpy
import sys
from pathlib import Path

import trio

import trio_wsarecv
from tools.windows import SYSTEM


def main() -> None:
    try:
        match sys.argv:
            case [_, "-m", module, *arguments]:
                sys.argv[1:] = arguments
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case [_]:
                pass
            case [_, script, *arguments]:
                sys.argv[:] = [script, *arguments]
                sys.path[0] = str(Path(script).resolve().parent)
                runpy.run_path(script, run_name="__main__")
    except SystemExit as exc:
        if exc.code:
            raise
    python = f"Python {platform.python_version()}, sys.platform {sys.platform}, under {SYSTEM}"
    statistics = dataclasses.asdict(trio_wsarecv.statistics())
    print(json.dumps({"python": f"{python}, Trio {trio.__version__}", **statistics}))


main()
