"""wrk, the load generator for servers: a client that keeps its connections."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from .processes import ProcessError

SCRIPTS: Final = Path(__file__).with_name("lua")


class Asked(NamedTuple):
    """How many requests were answered, and in how many seconds."""

    requests: int
    seconds: float


def ask(url: str, connections: int, seconds: int, script: str = "report") -> Asked:
    """Have wrk make requests for so many seconds, by default as fast as they are answered."""
    options = ["--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    command = ["wrk", *options, f"--script={SCRIPTS / script}.lua", url]
    environ = {**os.environ, "LUA_PATH": f"{SCRIPTS}/?.lua"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("bench"):
            _, requests, microseconds, errors = line.split()
            if not float(errors):
                return Asked(int(requests), float(microseconds) / 1e6)
    raise ProcessError(f"{' '.join(command)}: wrong answers, or none\n{done.stdout}{done.stderr}")
