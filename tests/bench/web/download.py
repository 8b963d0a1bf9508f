"""What a large download costs a client on httpx, on stock Trio and under ``run``."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from tests.bench.machine import REPOSITORY, windows_path
from tests.bench.meter import processor_seconds
from tests.bench.processes import QUIET, Child, ProcessError
from tests.bench.subjects import PROGRAMS, RUN, STOCK
from tests.bench.table import Table
from tests.bench.works import MIB, PROCESSOR_PER_MIB, THROUGHPUT

if TYPE_CHECKING:
    from tests.apps.certificates import Certificates
    from tests.bench.machine import Machine
    from tests.bench.scale import Scale

WARM_UP: Final = 32  # MiB
CLIENTS: Final[dict[str, tuple[str, ...]]] = {STOCK: (), RUN: ("-m", "trio_wsarecv", "run")}


class Client:
    """A program that downloads what it is told."""

    def __init__(self, where: Machine, name: str, certificates: Certificates) -> None:
        paths = map(windows_path, (PROGRAMS / "http_download.py", certificates.authority))
        command = [*where.launcher, where.python, *CLIENTS[name], *paths]
        self._child = Child(command, where.environ, where.folder)
        self._pids = self._child.pid, where.server
        sockets = self._child.answer("sockets").strip()
        if sockets != name.split()[0]:
            raise ProcessError(f"{name}: the sockets are those of {sockets}")

    def download(self, address: str, size: int) -> tuple[float, float]:
        """Download so many MiB, and return how long it took, and how much processor time."""
        spent, begin = processor_seconds(*self._pids), time.perf_counter()
        self._child.tell(f"{address}/{size * MIB}")
        (received,) = self._child.expect("received")
        seconds = time.perf_counter() - begin
        time.sleep(QUIET)
        if received != size * MIB:
            raise ProcessError(f"received {received:.0f} bytes of {size} MiB")
        return seconds, processor_seconds(*self._pids) - spent

    def finish(self) -> None:
        self._child.finish()


def measure(
    where: Machine, certificates: Certificates, scale: Scale, scheme: str
) -> tuple[Table, Table]:
    """Measure both clients: MiB/s, and processor time per MiB."""
    size = scale.download
    throughput, processor = (
        Table(
            key=f"{scheme}-download{suffix}",
            title=f"a download of {size} MiB by httpx, {scheme.upper()}",
            figure=figure.title,
            unit=figure.unit,
            more_is_better=figure.more_is_better,
        )
        for suffix, figure in (("", THROUGHPUT), ("-processor", PROCESSOR_PER_MIB))
    )
    with ExitStack() as stack:
        source = [sys.executable, "-m", "tests.bench.web.source"]
        source += [str(certificates.server)] if scheme == "https" else []
        server = Child(source, folder=REPOSITORY)
        stack.callback(server.finish)
        (port,) = server.expect("port")
        address = f"{scheme}://127.0.0.1:{port:.0f}"
        clients = {}
        for name in CLIENTS:
            clients[name] = Client(where, name, certificates)
            stack.callback(clients[name].finish)
            clients[name].download(address, WARM_UP)
        for turn in range(scale.rounds):
            for name in list(clients)[:: -1 if turn % 2 else 1]:
                seconds, spent = clients[name].download(address, size)
                throughput.rows.setdefault(name, []).append(size / seconds)
                processor.rows.setdefault(name, []).append(1e6 * spent / size)
    return throughput, processor
