"""What a large download costs a client on httpx, on stock Trio and under ``run``."""

from __future__ import annotations

import sys
import time
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

PART: Final = 16  # MiB, which are received in one turn
CLIENTS: Final[dict[str, tuple[str, ...]]] = {STOCK: (), RUN: ("-m", "trio_wsarecv", "run")}


class Client:
    """A program that downloads a file, one part of it after another."""

    def __init__(self, where: Machine, name: str, certificates: Certificates, address: str) -> None:
        paths = map(windows_path, (PROGRAMS / "http_download.py", certificates.authority))
        command = [*where.launcher, where.python, *CLIENTS[name], *paths, address]
        self._child = Child(command, where.environ, where.folder)
        self._pids = self._child.pid, where.server
        self.received = 0.0
        sockets = self._child.answer("sockets").strip()
        if sockets != name.split()[0]:
            raise ProcessError(f"{name}: the sockets are those of {sockets}")

    def turn(self) -> tuple[float, float]:
        """Download the next part, and return MiB/s, and the processor time per MiB in µs."""
        spent, begin = processor_seconds(*self._pids), time.perf_counter()
        self._child.tell(str(PART * MIB))
        (received,) = self._child.expect("received")
        seconds = time.perf_counter() - begin
        time.sleep(QUIET)
        spent = processor_seconds(*self._pids) - spent
        self.received += received
        return received / MIB / seconds, 1e6 * spent / (received / MIB)

    def finish(self) -> None:
        self._child.finish()


def measure(
    where: Machine, certificates: Certificates, scale: Scale, scheme: str
) -> tuple[Table, Table]:
    """Measure both clients, each with a download of its own: MiB/s, and processor time per MiB."""
    size = scale.download
    throughput, processor = (
        Table(
            key=f"{scheme}-download{suffix}",
            title=f"a download of {size} MiB by httpx, {scheme.upper()}",
            figure=figure.title,
            unit=figure.unit,
            more_is_better=figure.more_is_better,
            rows={name: [] for name in CLIENTS},
        )
        for suffix, figure in (("", THROUGHPUT), ("-processor", PROCESSOR_PER_MIB))
    )
    source = [sys.executable, "-m", "tests.bench.web.source"]
    source += [str(certificates.server)] if scheme == "https" else []
    server = Child(source, folder=REPOSITORY)
    try:
        (port,) = server.expect("port")
        address = f"{scheme}://127.0.0.1:{port:.0f}/{size * MIB}"
        for _ in range(scale.starts):
            clients = {name: Client(where, name, certificates, address) for name in CLIENTS}
            for turn in range(size // PART):
                for name in list(clients)[:: -1 if turn % 2 else 1]:
                    speed, spent = clients[name].turn()
                    if turn:  # the first is for warming up
                        throughput.rows[name].append(speed)
                        processor.rows[name].append(spent)
            for name, client in clients.items():
                client.finish()
                if client.received != size * MIB:
                    raise ProcessError(f"{name}: received {client.received:.0f} bytes")
    finally:
        server.finish()
    return throughput, processor
