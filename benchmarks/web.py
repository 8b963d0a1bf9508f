"""Web servers that are not written for this package, with it and without, measured by wrk.

All serve one tiny ASGI application as HTTP/1.1 by h11.  In alternating turns a server first gets a
moderate number of requests, as most servers do, and then as many as it answers.  The connections
are new each time; accepting them counts with the requests.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from tests.apps.certificates import create

from .machine import Machine, windows_path
from .processes import Child, ProcessError, processor_seconds
from .rounds import QUIET, alternating
from .subjects import Subject, python, started
from .table import Table
from .works import REQUESTS, processor_per

SCRIPTS: Final = Path(__file__).with_name("lua")
CONNECTIONS: Final = 20
MODERATE_SECONDS: Final = 2
BUSY_SECONDS: Final = 1

TRIO: Final = "Hypercorn on Trio"
PROGRAMS: Final = "benchmarks.programs"
HYPERCORN: Final = ("-m", "hypercorn", "--workers=0", "--bind=127.0.0.1:0", "--worker-class")
UVICORN: Final = ("-m", "uvicorn", "--port=0", "--no-access-log", "--loop")
ASYNCIO: Final = (*UVICORN, "asyncio")
#: How each is started, without the name of the application.
SERVERS: Final = {
    TRIO: (*HYPERCORN, "trio"),
    f"{TRIO}, run": ("-m", "trio_wsarecv", "run", *HYPERCORN, "trio"),
    "Hypercorn on asyncio": (*HYPERCORN, "asyncio"),
    "uvicorn on asyncio": (*ASYNCIO, "--http=h11"),
    "uvicorn on asyncio, TCP_NODELAY": (*ASYNCIO, f"--http={PROGRAMS}.http_nodelay:NoDelay"),
    "uvicorn on winloop": (*UVICORN, "winloop:new_event_loop", "--http=h11"),
}


def ask(url: str, connections: int, seconds: int, script: str = "report") -> tuple[int, float]:
    """Have wrk make requests on connections that it keeps, by default as fast as it can.

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


class Server(NamedTuple):
    """A server that runs."""

    child: Child
    url: str

    def visit(self, seconds: int, wine: int | None, script: str = "report") -> tuple[float, float]:
        """Make requests; return how many per second, and the processor time for each in µs."""
        # It is suspended at other times: an idle uvicorn wakes up ten times a second.
        process, pids = psutil.Process(self.child.pid), (self.child.pid, wine)
        process.resume()
        before = processor_seconds(*pids)
        requests, spent = ask(self.url, CONNECTIONS, seconds, script)
        time.sleep(QUIET)  # for what follows the last answer
        used = processor_seconds(*pids) - before
        process.suspend()
        return requests / spent, 1e6 * used / requests


def servers(where: Machine, certificate: Path | None) -> Iterator[Subject]:
    """Give all servers, for HTTPS if there is a certificate."""
    for name, options in SERVERS.items():
        command = [*options, f"{PROGRAMS}.http_app:app"]
        if certificate:
            prefix = "--ssl-" if "uvicorn" in options else "--"
            file = windows_path(certificate)
            command += [f"{prefix}certfile={file}", f"{prefix}keyfile={file}"]
        yield Subject(name, python(where, *command), where)


def url(child: Child) -> str:
    while not (found := re.search(r"(?i)running on (https?://[\d.]+:\d+)", child.line(""))):
        pass
    return f"{found[1]}/"


def measure(where: Machine, folder: Path, scheme: str, turns: int) -> list[Table]:
    """Measure all servers, each so many times; a certificate is put into the folder."""
    title, processor = f"{scheme.upper()}, {CONNECTIONS} connections", processor_per("request")
    moderate_title, full = f"{title}, each about 10 times a second", f"{title}, at full load"
    moderate = Table(f"{scheme}-paced", moderate_title, processor, TRIO)
    busy = Table(f"{scheme}-busy", full, REQUESTS, TRIO)
    spent = Table(f"{scheme}-busy-processor", full, processor, TRIO)
    certificate = create(folder).server if scheme == "https" else None
    with started(servers(where, certificate), kill=True) as children:
        running = {name: Server(child, url(child)) for name, child in children.items()}
        for server in running.values():
            server.visit(BUSY_SECONDS, where.server)  # for warming up
        for name in alternating(running, turns):
            _, used = running[name].visit(MODERATE_SECONDS, where.server, "moderately")
            moderate.add(name, used)
            requests, used = running[name].visit(BUSY_SECONDS, where.server)
            busy.add(name, requests)
            spent.add(name, used)
    return [moderate, busy, spent]
