"""Servers that are not written for this package, measured by wrk, the client of all of them.

The web servers serve one tiny ASGI application as HTTP/1.1 by h11, with this package and without.
In alternating turns a server first gets a moderate number of requests, as most servers do, and then
as many as it answers.  The connections are new each time; accepting them counts with the requests.

`docs/examples/all_cores.py` shows on Linux what a server gains by more processes: it has one
worker, two, and so on up to the number of processors.  The connections are new in each turn,
because how they are distributed among the workers is part of the result.  Nothing is pinned to a
processor: as in real use, server and client share all of them.  So nothing else may run on the
machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psutil

from tests.apps.certificates import create

from . import machine
from .machine import REPOSITORY, SCRATCH, Child, ProcessError, processor_seconds
from .results import Figure, Table
from .rounds import QUIET, alternating
from .works import REQUESTS, processor_per

CONNECTIONS: Final = 20
MODERATE_SECONDS: Final = 2
BUSY_SECONDS: Final = 1

TRIO: Final = "Hypercorn on Trio"
PROGRAMS: Final = "benchmarks.programs"
HYPERCORN: Final = ("-m", "hypercorn", "--workers=0", "--bind=127.0.0.1:0", "--worker-class")
UVICORN: Final = ("-m", "uvicorn", "--port=0", "--no-access-log", "--loop")
NO_DELAY: Final = f"{PROGRAMS}.http_nodelay:NoDelay"
#: How each is started, without the name of the application.
SERVERS: Final = {
    TRIO: (*HYPERCORN, "trio"),
    f"{TRIO}, run": ("-m", "trio_wsarecv", "run", *HYPERCORN, "trio"),
    "Hypercorn on asyncio": (*HYPERCORN, "asyncio"),
    "uvicorn on asyncio": (*UVICORN, "asyncio", "--http=h11"),
    "uvicorn on asyncio, TCP_NODELAY": (*UVICORN, "asyncio", f"--http={NO_DELAY}"),
    "uvicorn on winloop": (*UVICORN, "winloop:new_event_loop", "--http=h11"),
}

WORKER_ROUNDS: Final = 7
WORKER_CONNECTIONS: Final = 50
ONE_WORKER: Final = "1 worker"


def ask(url: str, connections: int, seconds: int, script: str | None = None) -> tuple[int, float]:
    """Have wrk make requests on connections that it keeps, by default as fast as it can.

    Returns how many were answered, and how many per second.
    """
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", url]
    if script:
        command.append(f"--script={Path(__file__).with_name('lua') / script}.lua")
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"(\d+) requests in .*Requests/sec: *([\d.]+)", done.stdout, re.DOTALL)
    if not found or re.search("Socket errors|Non-2xx", done.stdout):
        raise ProcessError(
            f"wrong answers, or none: {' '.join(command)}\n{done.stdout}{done.stderr}"
        )
    return int(found[1]), float(found[2])


def measure(where: machine.Machine, scheme: str, turns: int) -> list[Table]:
    """Measure all servers, each so many times."""
    title, processor = f"{scheme.upper()}, {CONNECTIONS} connections", processor_per("request")
    moderate_title, full = f"{title}, each about 10 times a second", f"{title}, at full load"
    moderate = Table(f"{scheme}-paced", moderate_title, processor, TRIO)
    busy = Table(f"{scheme}-busy", full, REQUESTS, TRIO)
    spent = Table(f"{scheme}-busy-processor", full, processor, TRIO)
    certificate = machine.windows_path(create(SCRATCH).server)
    commands = {}
    for name, options in SERVERS.items():
        command = [*options, f"{PROGRAMS}.http_app:app"]
        if scheme == "https":
            prefix = "--ssl-" if "uvicorn" in options else "--"
            command += [f"{prefix}certfile={certificate}", f"{prefix}keyfile={certificate}"]
        commands[name] = where.python(*command)
    with where.started(commands, kill=True) as children:
        urls = {
            name: child.find(r"(?i)running on (https?://[\d.]+:\d+)") + "/"
            for name, child in children.items()
        }

        def visit(name: str, seconds: int, script: str | None = None) -> tuple[float, float]:
            """Make requests; return how many per second, and the processor time for each in µs."""
            # It is suspended at other times: an idle uvicorn wakes up ten times a second.
            process, pids = psutil.Process(children[name].pid), (children[name].pid, where.server)
            process.resume()
            before = processor_seconds(*pids)
            requests, rate = ask(urls[name], CONNECTIONS, seconds, script)
            time.sleep(QUIET)  # for what follows the last answer
            used = processor_seconds(*pids) - before
            process.suspend()
            return rate, 1e6 * used / requests

        for name in children:
            visit(name, BUSY_SECONDS)  # for warming up
        for name in alternating(children, turns):
            _, used = visit(name, MODERATE_SECONDS, "moderately")
            moderate.add(name, used)
            requests, used = visit(name, BUSY_SECONDS)
            busy.add(name, requests)
            spent.add(name, used)
    return [moderate, busy, spent]


class Workers:
    """The example, with so many workers."""

    def __init__(self, count: int) -> None:
        self.name = f"{count} workers" if count > 1 else ONE_WORKER
        script = REPOSITORY / "docs" / "examples" / "all_cores.py"
        environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self._child = Child([sys.executable, str(script), "0", str(count)], environ)
        self._url = f"http://127.0.0.1:{self._child.find(r'listening on port (.+)')}/"
        self._pids = [process.pid for process in psutil.Process(self._child.pid).children()]
        self.finish = self._child.finish

    def turn(self) -> tuple[float, float, float, float]:
        """Have a new client make requests for a second; return a figure for each table below."""
        before, spent = processor_seconds(*self._pids), os.times()
        requests, rate = ask(self._url, WORKER_CONNECTIONS, 1, "echo")
        workers = processor_seconds(*self._pids) - before
        client = sum(os.times()[2:4]) - sum(spent[2:4])
        for _ in range(WORKER_CONNECTIONS):
            self._child.find("(worker) .* serves")
        seconds = requests / rate
        return rate, 1e6 * workers / requests, workers / seconds, client / seconds


def measure_workers() -> list[Table]:
    """Measure every number of workers, in alternating turns."""
    title = f"echo of 64 bytes, {WORKER_CONNECTIONS} connections"
    tables = [
        Table("cores", title, REQUESTS, ONE_WORKER),
        Table("cores-processor", title, processor_per("request"), ONE_WORKER),
        Table(
            "cores-workers", title, Figure("processors", "busy with the workers", True), ONE_WORKER
        ),
        Table(
            "cores-client", title, Figure("processors", "busy with the client", True), ONE_WORKER
        ),
    ]
    processors = psutil.cpu_count() or 1
    counts = sorted({*(2**power for power in range(processors.bit_length())), processors})
    with ExitStack() as stack:
        servers = [Workers(count) for count in counts]
        for server in servers:
            stack.callback(server.finish)
            server.turn()  # for warming up
        for _ in range(WORKER_ROUNDS):
            for server in servers:
                for table, value in zip(tables, server.turn(), strict=True):
                    table.add(server.name, value)
    return tables
