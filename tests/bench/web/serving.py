"""What a request costs each server, and how many it can answer.

The figures are taken in alternating rounds, as in `tests.bench.rounds`.  In its turn a server is
asked at a moderate rate at first, which is how servers live, and then as fast as it answers.  The
load generator is ``native/http_load.c``, which checks every answer.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.bench.meter import processor_seconds
from tests.bench.processes import QUIET, Child
from tests.bench.programs.http_app import BODY
from tests.bench.table import Table
from tests.bench.works import PROCESSOR_PER_REQUEST, REQUESTS

from . import servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.apps.certificates import Certificates
    from tests.bench.machine import Machine
    from tests.bench.scale import Scale
    from tests.bench.works import Figure

CONNECTIONS: Final = 20
RATE: Final = 200  # requests per second, all connections together
LATE: Final = 1.1  # times what a turn should take, from which on the rate was another
WARM_UP: Final = 100  # requests
#: A turn's length, in multiples of that of the other works.
PACED_TURN: Final = 4
BUSY_TURN: Final = 2


class Sample(NamedTuple):
    """What one turn of a server came to.

    Attributes:
      requests: per second.
      processor: the processor time per request, Wine's server included, in µs.
      wine: the part of Wine's server.
    """

    requests: float
    processor: float
    wine: float


Samples = dict[str, list[Sample]]


class Visit:
    """A server that a load generator of its own is connected to."""

    def __init__(self, command: list[str], server: Child, wine: int | None) -> None:
        self._server = server
        self._wine = wine
        self._generator = Child(command)
        self._generator.expect("connected")
        for _ in range(2):
            self._speed = self.turn(WARM_UP, 0).requests

    def turn(self, count: int, rate: int) -> Sample:
        """Make so many requests, at this rate; 0 is as fast as can be."""
        server, wine = processor_seconds(self._server.pid), processor_seconds(self._wine)
        self._generator.tell(f"{count} {rate}")
        seconds, _ = self._generator.expect("round")
        time.sleep(QUIET)  # for what comes after the last answer
        server = processor_seconds(self._server.pid) - server
        wine = processor_seconds(self._wine) - wine
        return Sample(count / seconds, 1e6 * (server + wine) / count, 1e6 * wine / count)

    def paced(self, seconds: float) -> Sample:
        return self.turn(round(RATE * seconds), RATE)

    def busy(self, seconds: float) -> Sample:
        return self.turn(round(self._speed * seconds), 0)

    def finish(self) -> None:
        self._generator.finish()


def measure(
    where: Machine, load: Path, certificates: Certificates, scale: Scale, scheme: str
) -> list[Table]:
    """Measure all servers: the processor time of a paced request, and requests per second."""
    tls = certificates if scheme == "https" else None
    paced: Samples = defaultdict(list)
    busy: Samples = defaultdict(list)
    for _ in range(scale.starts):
        visits = {}
        with servers.started(where, tls) as children:
            for name, child in children.items():
                command = [str(load), servers.port(child), str(CONNECTIONS), BODY]
                command += [str(tls.authority)] if tls else []
                with servers.alone(child):
                    visits[name] = Visit(command, child, where.server)
            for turn in range(scale.rounds):
                for name in list(visits)[:: -1 if turn % 2 else 1]:
                    with servers.alone(children[name]):
                        paced[name].append(visits[name].paced(PACED_TURN * scale.seconds))
                        busy[name].append(visits[name].busy(BUSY_TURN * scale.seconds))
            for visit in visits.values():
                visit.finish()
    return tables(scheme, paced, busy)


def tables(scheme: str, paced: Samples, busy: Samples) -> list[Table]:
    """Return the tables that the turns come to."""

    def table(key: str, how: str, figure: Figure, samples: Samples, field: str) -> Table:
        return Table(
            key=f"{scheme}-{key}",
            title=f"{scheme.upper()}, {CONNECTIONS} keep-alive connections, {how}",
            figure=figure.title,
            unit=figure.unit,
            more_is_better=figure.more_is_better,
            rows={
                name: [getattr(each, field) for each in those] for name, those in samples.items()
            },
            base=servers.TRIO,
        )

    moderate, full = f"{RATE} requests/s", "full load"
    result = [
        table("paced", moderate, PROCESSOR_PER_REQUEST, paced, "processor"),
        table("busy", full, REQUESTS, busy, "requests"),
        table("busy-processor", full, PROCESSOR_PER_REQUEST, busy, "processor"),
    ]
    for name, those in paced.items():
        slowest = min(each.requests for each in those)
        if slowest * LATE < RATE:
            result[0].limits[name] = f"answered only {slowest:.0f} requests/s in one turn"
    for each, samples in ((result[0], paced), (result[1], busy)):
        for name, those in samples.items():
            used = statistics.median(1e-6 * one.requests * one.processor for one in those)
            wine = statistics.median(one.wine for one in those)
            each.notes.append(f"{name}: busy {used:.0%} of the time; Wine's server {wine:.0f} µs")
    return result
