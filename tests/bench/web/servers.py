"""The web servers, and how each is started."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from tests.bench.machine import windows_path
from tests.bench.processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.apps.certificates import Certificates
    from tests.bench.machine import Machine

TRIO: Final = "Hypercorn on Trio"
RUN: Final = "Hypercorn on Trio, run"
ASYNCIO: Final = "Hypercorn on asyncio"
UVICORN: Final = "uvicorn on asyncio"
NODELAY: Final = "uvicorn on asyncio, TCP_NODELAY"
WINLOOP: Final = "uvicorn on winloop"

PROGRAMS: Final = "tests.bench.programs"
APPLICATION: Final = f"{PROGRAMS}.http_app:app"
KEEP_ALIVE: Final = 3600  # seconds, so that no connection ends between two turns


@dataclass(frozen=True)
class Family:
    """The options that one kind of server has.

    Attributes:
      always: the module, and its options.
      certificate: the option for the certificate.
      key: the option for its key.
    """

    always: tuple[str, ...]
    certificate: str
    key: str


HYPERCORN: Final = Family(
    ("-m", "hypercorn", "--workers=0", "--bind=127.0.0.1:0", f"--keep-alive={KEEP_ALIVE}"),
    "--certfile",
    "--keyfile",
)
UVICORNS: Final = Family(
    ("-m", "uvicorn", "--port=0", "--no-access-log", f"--timeout-keep-alive={KEEP_ALIVE}"),
    "--ssl-certfile",
    "--ssl-keyfile",
)


@dataclass(frozen=True)
class Server:
    """One of the servers that are compared.

    Attributes:
      name: what the results call it.
      family: the options of its kind.
      options: its own options.
      before: the options of Python that come first.
    """

    name: str
    family: Family
    options: tuple[str, ...]
    before: tuple[str, ...] = ()

    def start(self, where: Machine, certificates: Certificates | None) -> Child:
        """Start it, as an HTTPS server if there are certificates."""
        command = [*where.launcher, where.python, *self.before, *self.family.always, *self.options]
        if certificates:
            file = windows_path(certificates.server)
            command += [f"{self.family.certificate}={file}", f"{self.family.key}={file}"]
        return Child([*command, APPLICATION], where.environ, where.folder)


SERVERS: Final = (
    Server(TRIO, HYPERCORN, ("--worker-class=trio",)),
    Server(RUN, HYPERCORN, ("--worker-class=trio",), ("-m", "trio_wsarecv", "run")),
    Server(ASYNCIO, HYPERCORN, ("--worker-class=asyncio",)),
    Server(UVICORN, UVICORNS, ("--loop=asyncio", "--http=h11")),
    Server(NODELAY, UVICORNS, ("--loop=asyncio", f"--http={PROGRAMS}.http_nodelay:NoDelay")),
    Server(WINLOOP, UVICORNS, ("--loop=winloop:new_event_loop", "--http=h11")),
)


def port(child: Child) -> str:
    """Wait until a server says on which port it answers."""
    while True:
        if found := re.search(r"unning on https?://[\d.]+:(\d+)", child.line("")):
            return found[1]


@contextmanager
def started(where: Machine, certificates: Certificates | None) -> Iterator[dict[str, Child]]:
    """Give the processes of all servers, started at once, which end with the block."""
    with ExitStack() as stack:
        children = {}
        for server in SERVERS:
            children[server.name] = child = server.start(where, certificates)
            stack.callback(child.finish)
            stack.callback(child.kill)  # which comes before
        yield children


@contextmanager
def alone(child: Child) -> Iterator[None]:
    """Let a suspended server run for as long as the block lasts.

    An idle uvicorn wakes up ten times a second, which would count with the turns of the others.
    """
    process = psutil.Process(child.pid)
    process.resume()
    try:
        yield
    finally:
        process.suspend()
