"""What a request costs each web server, and how many it can answer.

The figures are taken in alternating rounds, as in `tests.bench.rounds`.  In its turn a server is
asked moderately at first, which is how servers live, and then as fast as it answers.  The
connections are new each time; accepting them counts with the requests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tests.apps.certificates import create
from tests.bench import wrk
from tests.bench.meter import processor_seconds
from tests.bench.processes import QUIET
from tests.bench.table import Table
from tests.bench.works import REQUESTS, processor_per

from . import servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.machine import Machine
    from tests.bench.processes import Child

CONNECTIONS: Final = 20
MODERATE_SECONDS: Final = 2
BUSY_SECONDS: Final = 1
SCHEMES: Final = ("http", "https")


def measure(where: Machine, folder: Path, scheme: str, turns: int) -> list[Table]:
    """Measure all servers: the processor time of a request, and requests per second.

    Args:
      where: the machine.
      folder: where a certificate can be put.
      scheme: http or https.
      turns: how often each server has its turn.
    """
    title = f"{scheme.upper()}, {CONNECTIONS} connections,"
    processor = processor_per("request")
    moderate = Table(f"{scheme}-paced", f"{title} each 10 times a second", processor, servers.TRIO)
    busy = Table(f"{scheme}-busy", f"{title} at full load", REQUESTS, servers.TRIO)
    spent = Table(f"{scheme}-busy-processor", busy.title, processor, servers.TRIO)
    certificate = create(folder).server if scheme == "https" else None

    def visit(child: Child, port: str, seconds: int, script: str = "") -> tuple[float, float]:
        pids = child.pid, where.server
        before = processor_seconds(*pids)
        asked = wrk.ask(f"{scheme}://127.0.0.1:{port}/", CONNECTIONS, seconds, script)
        time.sleep(QUIET)  # for what comes after the last answer
        used = processor_seconds(*pids) - before
        return asked.requests / asked.seconds, 1e6 * used / asked.requests

    with servers.started(where, certificate) as ports:
        for turn in range(turns + 1):
            for name, (child, port) in list(ports.items())[:: -1 if turn % 2 else 1]:
                with servers.alone(child):
                    if not turn:  # for warming up
                        visit(child, port, BUSY_SECONDS)
                        continue
                    _, used = visit(child, port, MODERATE_SECONDS, wrk.MODERATELY)
                    moderate.add(name, used)
                    requests, used = visit(child, port, BUSY_SECONDS)
                    busy.add(name, requests)
                    spent.add(name, used)
    return [moderate, busy, spent]
