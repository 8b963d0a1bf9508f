"""wrk, the load generator for servers: a client that keeps its connections."""

from __future__ import annotations

import subprocess
import tempfile
from typing import Final, NamedTuple

from .processes import ProcessError

REPORT: Final = """
function done(summary)
   local errors = summary.errors
   print("bench", summary.requests, summary.duration, errors.connect + errors.read +
         errors.write + errors.status + errors.timeout)
end
"""
#: Each connection asks again after a tenth of a second, more or less.
MODERATELY: Final = """
function delay()
   return math.random(50, 150)
end
"""
#: What an echo server sends back is an answer: 64 bytes.  wrk tries its first request out as one.
ECHO: Final = r"""
local message = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" .. string.rep("!", 25)
local first = true
function request()
   if first then
      first = false
      return wrk.format()
   end
   return message
end
"""


class Asked(NamedTuple):
    """What wrk did.

    Attributes:
      requests: how many were answered.
      seconds: how long that took.
    """

    requests: int
    seconds: float


def ask(url: str, connections: int, seconds: int, script: str = "") -> Asked:
    """Have wrk ask for so many seconds, by default as fast as it gets answers."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + REPORT)
        file.flush()
        options = ["--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
        command = ["wrk", *options, f"--script={file.name}", url]
        done = subprocess.run(command, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("bench"):
            _, requests, microseconds, errors = line.split()
            if int(float(errors)):
                raise ProcessError(f"wrong answers, or none: {done.stdout}")
            return Asked(int(requests), int(microseconds) / 1e6)
    raise ProcessError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
