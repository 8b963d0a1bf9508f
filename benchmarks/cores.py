"""What a server gains by more processes: `docs/examples/all_cores.py`, on Linux.

It has one worker, two, and so on up to the number of processors.  In each round every server has a
turn with wrk as a client of many connections.  The connections are new in each turn, because how
they are distributed among the workers is part of the result.  Nothing is pinned to a processor: as
in real use, server and client share all of them.  So nothing else may run on the machine.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Final

import psutil

from .processes import REPOSITORY, Child, processor_seconds
from .table import Figure, Table
from .web import ask
from .works import REQUESTS, processor_per

SCRIPT: Final = REPOSITORY / "docs" / "examples" / "all_cores.py"
ROUNDS: Final = 7
SECONDS: Final = 1  # of each turn
CONNECTIONS: Final = 50
PROCESSORS: Final = psutil.cpu_count() or 1
COUNTS: Final = sorted({*(2**power for power in range(PROCESSORS.bit_length())), PROCESSORS})
ONE: Final = "1 worker"
TITLE: Final = f"echo of 64 bytes, {CONNECTIONS} connections"


class Server:
    """The example, with so many workers."""

    def __init__(self, workers: int) -> None:
        self.name = f"{workers} workers" if workers > 1 else ONE
        command = [sys.executable, str(SCRIPT), "0", str(workers)]
        self._child = Child(command, {**os.environ, "PYTHONPATH": str(REPOSITORY)})
        self._url = f"http://127.0.0.1:{self._child.line('listening on port ').strip()}/"
        self._pids = [process.pid for process in psutil.Process(self._child.pid).children()]
        self.finish = self._child.finish

    def turn(self) -> tuple[float, float, float, float]:
        """Have a new client make requests for a while; return a figure for each table below."""
        before, spent = processor_seconds(*self._pids), os.times()
        count, seconds = ask(self._url, CONNECTIONS, SECONDS, "echo")
        workers = processor_seconds(*self._pids) - before
        client = sum(os.times()[2:4]) - sum(spent[2:4])
        for _ in range(CONNECTIONS):
            self._child.line("worker ")
        return count / seconds, 1e6 * workers / count, workers / seconds, client / seconds


def measure() -> list[Table]:
    """Measure every number of workers, in alternating turns."""
    tables = [
        Table("cores", TITLE, REQUESTS, ONE),
        Table("cores-processor", TITLE, processor_per("request"), ONE),
        Table("cores-workers", TITLE, Figure("processors", "busy with the workers", True), ONE),
        Table("cores-client", TITLE, Figure("processors", "busy with the client", True), ONE),
    ]
    with ExitStack() as stack:
        servers = [Server(count) for count in COUNTS if count <= PROCESSORS]
        for server in servers:
            stack.callback(server.finish)
            server.turn()  # for warming up
        for _ in range(ROUNDS):
            for server in servers:
                for table, value in zip(tables, server.turn(), strict=True):
                    table.add(server.name, value)
    return tables
