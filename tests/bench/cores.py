"""What a server gains by more processes: ``python -m tests.bench.cores``, on Linux.

The server is `docs/examples/all_cores.py` with one worker, with two, and so on up to the number of
processors.  Each has its turn with wrk as a client of many connections, then every one again.  In
every turn the connections are new, for how they fall to the workers is a part of the result.
Nothing is pinned to a processor: server and client share them all, as they would in earnest.  So it
takes a machine with nothing else to do, and says where something else kept it busy.
"""

from __future__ import annotations

import os
import statistics
import sys
from contextlib import ExitStack
from typing import Final, NamedTuple

import psutil

from . import wrk
from .machine import Others
from .meter import processor_seconds
from .processes import REPOSITORY, Child
from .table import Figure, Table
from .works import REQUESTS, processor_per

SCRIPT: Final = REPOSITORY / "docs" / "examples" / "all_cores.py"
ROUNDS: Final = 7
SECONDS: Final = 1  # of each turn
CONNECTIONS: Final = 50
PROCESSORS: Final = psutil.cpu_count() or 1
DISTURBED: Final = 0.2  # processors that other programs use
ONE: Final = "1 worker"
BUSY: Final = Figure("processors kept busy", "by the workers", True)
CLIENT: Final = BUSY._replace(unit="by the client")


class Turn(NamedTuple):
    """What one turn of one server came to.

    Attributes:
      requests: requests per second.
      processor: the server's processor time per request, in µs.
      workers: how many processors' worth of time the workers used.
      client: the same of the client.
      others: the same of all else that went on in the machine.
    """

    requests: float
    processor: float
    workers: float
    client: float
    others: float


class Server:
    """The example, with so many workers."""

    def __init__(self, workers: int) -> None:
        command = [sys.executable, str(SCRIPT), "0", str(workers)]
        self._child = Child(command, {**os.environ, "PYTHONPATH": str(REPOSITORY)})
        self._url = f"http://127.0.0.1:{self._child.line('listening on port ').strip()}/"
        self._pids = [process.pid for process in psutil.Process(self._child.pid).children()]
        self.turn()

    def turn(self) -> Turn:
        """Have a new client make requests for a while."""
        others, before, spent = Others(), processor_seconds(*self._pids), os.times()
        asked = wrk.ask(self._url, CONNECTIONS, SECONDS, wrk.ECHO)
        workers, now = processor_seconds(*self._pids) - before, os.times()
        for _ in range(CONNECTIONS):
            self._child.line("worker ")
        client = sum(now[2:4]) - sum(spent[2:4])
        return Turn(
            asked.requests / asked.seconds,
            1e6 * workers / asked.requests,
            workers / asked.seconds,
            client / asked.seconds,
            max(0.0, others.seconds() - workers) / asked.seconds,
        )

    def finish(self) -> None:
        self._child.finish()


def measure() -> list[Table]:
    """Measure every number of workers, in alternating turns."""
    title = f"echo of 64 bytes, {CONNECTIONS} connections, by docs/examples/all_cores.py"
    figures = {
        "requests": Table("cores", title, REQUESTS, ONE),
        "processor": Table("cores-processor", title, processor_per("request"), ONE),
        "workers": Table("cores-workers", title, BUSY, ONE),
        "client": Table("cores-client", title, CLIENT, ONE),
    }
    with ExitStack() as stack:
        servers = {}
        for count in sorted({*(2**power for power in range(PROCESSORS.bit_length())), PROCESSORS}):
            if count <= PROCESSORS:
                name = f"{count} worker{'s' if count > 1 else ''}"
                servers[name] = Server(count)
                stack.callback(servers[name].finish)
        turns = [(name, server.turn()) for _ in range(ROUNDS) for name, server in servers.items()]
    for name, turn in turns:
        for field, table in figures.items():
            table.add(name, getattr(turn, field))
    for name in servers:
        others = statistics.median(turn.others for each, turn in turns if each == name)
        if others > DISTURBED:
            figures["requests"].limits[name] = f"other programs used {others:.2f} processors"
    return list(figures.values())


if __name__ == "__main__":
    for table in measure():
        print(*table.lines(), sep="\n")
