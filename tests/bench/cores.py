"""What a server gains by more processes: ``python -m tests.bench.cores``.

The server is `docs/examples/all_cores.py` with one worker, with two, and so on up to the number of
processors.  Each has its turn with a client of many connections, then every one again.  In every
turn the connections are new, for how they fall to the workers is a part of the result.  Nothing is
pinned to a processor: server, client and Wine's server share them all, as they would in earnest.
So it takes a machine with nothing else to do, and waits for one.

On Wine, one wineserver with one thread serves all workers.  How far that goes is no result about
Windows, and is printed only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from . import build, machine
from .machine import busy_seconds, windows_path
from .meter import processor_seconds
from .processes import Child
from .summary import list_table
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = machine.REPOSITORY / "docs"
RESULTS = DOCS / "benchmarks" / "cores.inc"
MARK = "BENCH_CORES"
ROUNDS = 7
SECONDS = 0.5  # of each turn, about
CONNECTIONS = 50
WARM_UP = 2000
PROCESSORS = psutil.cpu_count() or 1
DISTURBED = 0.2  # processors that other programs use; above it a turn is taken again
GLANCE = 0.3  # seconds, to see whether they do
PATIENCE = 600  # seconds, until they do not
FIELDS = ("requests", "processor")


class Turn(NamedTuple):
    """What one turn of one server came to.

    Attributes:
      requests: requests per second.
      processor: the server's processor time per request, Wine's server included, in µs.
      workers: how many processors' worth of time the workers used.
      wine: the same of Wine's server.
      client: the same of the client.
      others: the same of all else that went on in the machine.
      least: the fewest connections that fell to one worker.
    """

    requests: float
    processor: float
    workers: float
    wine: float
    client: float
    others: float
    least: int


class Server:
    """The example, with so many workers."""

    def __init__(self, where: machine.Machine, script: str, workers: int) -> None:
        self.workers = workers
        self._wine = where.server
        mark = uuid.uuid4().hex
        command = [*where.launcher, where.python, script, "0", str(workers)]
        self._child = Child(command, {**where.environ, MARK: mark})
        self._port = self._child.line("listening on port ").strip()
        # Wine's processes are nobody's children, but they inherit the variables.
        self._pids = [process.pid for process in psutil.process_iter() if marked(process, mark)]

    def turn(self, client_program: Path, requests: int) -> Turn:
        """Have a new client make so many requests."""
        client = Child([str(client_program), self._port, str(CONNECTIONS)])
        client.expect("connected")
        served = Counter(self._child.line("worker ").split()[0] for _ in range(CONNECTIONS))
        client.tell(str(WARM_UP))
        client.expect("round")
        before = processor_seconds(*self._pids), processor_seconds(self._wine), busy_seconds()
        client.tell(str(requests))
        seconds, spent = client.expect("round")
        workers = processor_seconds(*self._pids) - before[0]
        wine = processor_seconds(self._wine) - before[1]
        others = busy_seconds() - before[2] - workers - wine - spent
        client.finish()
        return Turn(
            requests / seconds,
            1e6 * (workers + wine) / requests,
            workers / seconds,
            wine / seconds,
            spent / seconds,
            max(0.0, others / seconds),
            min(served.values()) if len(served) == self.workers else 0,
        )

    def finish(self) -> None:
        self._child.finish()


def marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False  # it is not ours, or has just ended


def worker_counts() -> list[int]:
    return sorted({*(2**power for power in range(PROCESSORS.bit_length())), PROCESSORS})


def undisturbed(server: Server, client: Path, requests: int) -> Turn:
    """Take turns, each when the processors are idle, until one has them to itself."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if psutil.cpu_percent(GLANCE) < 100 * DISTURBED / PROCESSORS:
            turn = server.turn(client, requests)
            if turn.others < DISTURBED:
                return turn
    sys.exit("bench: other programs keep the processors busy; try again when they have ended")


def measure(
    where: machine.Machine, script: str, client: Path, rounds: int, seconds: float
) -> dict[int, list[Turn]]:
    """Measure every number of workers, in alternating turns of about so many seconds."""
    with ExitStack() as stack:
        servers = []
        for count in worker_counts():
            servers.append(Server(where, script, count))
            stack.callback(servers[-1].finish)
        first = servers[0].turn(client, WARM_UP)
        requests = round(first.requests * seconds)
        turns: dict[int, list[Turn]] = {server.workers: [] for server in servers}
        for _ in range(rounds):
            for server in servers:
                turns[server.workers].append(undisturbed(server, client, requests))
    return turns


def label(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"


def median(turns: list[Turn], field: str) -> float:
    return float(statistics.median(getattr(turn, field) for turn in turns))


def busy(turns: list[Turn]) -> str:
    """Say who used how many processors."""
    shares = {"workers": "workers", "wine": "wineserver", "client": "client", "others": "others"}
    return ", ".join(
        f"{name} {median(turns, field):.2f}"
        for field, name in shares.items()
        if median(turns, field)
    )


def tables(turns: dict[int, list[Turn]]) -> tuple[Table, Table]:
    """Return the requests per second, and the processor time of each."""
    title = f"echo of 64 bytes, {CONNECTIONS} connections"
    rows = {
        field: {label(n): [getattr(t, field) for t in turns[n]] for n in turns} for field in FIELDS
    }
    requests = Table("cores", title, "requests per second", "1/s", True, rows["requests"])
    processor = Table(
        "cores-processor", title, "processor time per request", "µs", False, rows["processor"]
    )
    for count, each in turns.items():
        requests.notes.append(
            f"{label(count)}: {requests.ratio(label(count), label(1)):.2f} × one; processors busy: "
            f"{busy(each)}; fewest connections of a worker {median(each, 'least'):.0f}"
        )
    return requests, processor


HEADER = ("Workers", "Requests per second", "Of one", "Processor time each", "Processors busy")


def as_rst(name: str, turns: dict[int, list[Turn]]) -> str:
    requests, processor = tables(turns)
    rows = []
    for count, each in turns.items():
        row = label(count)
        speed, ratio = f"{requests.median(row):,.0f}", f"{requests.ratio(row, label(1)):.2f} ×"
        rows.append((str(count), speed, ratio, f"{processor.median(row):.0f} µs", busy(each)))
    return "\n".join([f"{name}:", "", *list_table(HEADER, rows), ""])


def wineserver(turns: dict[int, list[Turn]]) -> str:
    """Say what limits every server on Wine: one process, with one thread, that serves them all."""
    share = statistics.median(turn.wine / turn.requests for each in turns.values() for turn in each)
    return (
        f"wineserver: {1e6 * share:.0f} µs of its processor for each request, "
        f"so {1 / share:,.0f} requests per second at the most, however many the workers"
    )


@contextmanager
def machines() -> Iterator[dict[str, tuple[machine.Machine, str]]]:
    """Give where the example is measured, and what it is called there."""
    script = DOCS / "examples" / "all_cores.py"
    environ = {**os.environ, "PYTHONPATH": str(machine.REPOSITORY)}
    here = f"{platform.system()}, CPython {platform.python_version()}"
    native = machine.Machine(here, (), sys.executable, environ)
    if sys.platform == "win32":
        yield {here: (native, str(script))}
    else:
        with machine.windows(machine.REPOSITORY, pinned=False) as wine:
            there = f"Windows CPython on {wine.name.replace('wine-', 'Wine ')}"
            yield {here: (native, str(script)), there: (wine, windows_path(script))}


def measure_all(client: Path, rounds: int, seconds: float, output: Path | None) -> None:
    """Measure here and on Wine, print that, and write what is a result into a folder."""
    parts = [".. Written by ``python -m tests.bench.cores --write``.", ""]
    with machines() as found:
        for name, (where, script) in found.items():
            print(f"{name}, {PROCESSORS} processors")
            turns = measure(where, script, client, rounds, seconds)
            for each in tables(turns):
                print(*each.lines(), sep="\n", flush=True)
            if where.server is None:
                parts.append(as_rst(name, turns))
            else:
                print(f"  {wineserver(turns)}\n")
    if output:
        (output / RESULTS.name).write_text("\n".join(parts), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cores", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn, about")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}, but for Wine")
    options = parser.parse_args()
    folder = RESULTS.parent if options.write else None
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        measure_all(build.build(Path(scratch)).client, options.rounds, options.seconds, folder)


if __name__ == "__main__":
    main()
