"""Stands in for ``-m trio_wsarecv`` and reports at exit what has been received."""

import atexit
import os
import runpy
import sys
from dataclasses import asdict

import trio_wsarecv


@atexit.register
def report() -> None:
    print(asdict(trio_wsarecv.statistics()), file=sys.stderr)


# What -m puts there.
sys.path[0] = os.getcwd()
runpy.run_module("trio_wsarecv", run_name="__main__", alter_sys=True)
