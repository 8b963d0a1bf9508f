"""wrk, the load generator for servers: a client that keeps its connections."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from .processes import ProcessError

SCRIPTS: Final = Path(__file__).with_name("lua")


def ask(url: str, connections: int, seconds: int, script: str = "report") -> tuple[int, float]:
    """Have wrk make requests, by default as fast as they are answered.

    Returns how many were answered, and in how many seconds.
    """
    options = ["--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    command = ["wrk", *options, f"--script={SCRIPTS / script}.lua", url]
    environ = {**os.environ, "LUA_PATH": f"{SCRIPTS}/?.lua"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("bench"):
            _, requests, microseconds, errors = line.split()
            if not float(errors):
                return int(requests), float(microseconds) / 1e6
    raise ProcessError(f"{' '.join(command)}: wrong answers, or none\n{done.stdout}{done.stderr}")
