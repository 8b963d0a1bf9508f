"""The web servers, and how each is started."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil

from tests.bench.machine import windows_path
from tests.bench.processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.machine import Machine

TRIO: Final = "Hypercorn on Trio"
PROGRAMS: Final = "tests.bench.programs"
KEEP_ALIVE: Final = 3600  # seconds
HYPERCORN: Final = ("hypercorn", "--workers=0", "--bind=127.0.0.1:0", f"--keep-alive={KEEP_ALIVE}")
UVICORN: Final = (
    *("uvicorn", "--port=0", "--no-access-log", f"--timeout-keep-alive={KEEP_ALIVE}"),
)
CERTIFICATES: Final = {
    "hypercorn": ("--certfile={0}", "--keyfile={0}"),
    "uvicorn": ("--ssl-certfile={0}", "--ssl-keyfile={0}"),
}


class Server(NamedTuple):
    """One of the servers that are compared.

    Attributes:
      name: what the results call it.
      module: the module, and the options of all servers of this kind.
      options: its own options.
      run: whether it is started under ``run``.
    """

    name: str
    module: tuple[str, ...]
    options: tuple[str, ...]
    run: bool = False

    def start(self, where: Machine, certificate: Path | None) -> Child:
        """Start it, as an HTTPS server if there is a certificate."""
        before = ("-m", "trio_wsarecv", "run") if self.run else ()
        command = [*where.launcher, where.python, *before, "-m", *self.module, *self.options]
        if certificate:
            file = windows_path(certificate)
            command += [option.format(file) for option in CERTIFICATES[self.module[0]]]
        return Child([*command, f"{PROGRAMS}.http_app:app"], where.environ, where.folder)


SERVERS: Final = (
    Server(TRIO, HYPERCORN, ("--worker-class=trio",)),
    Server(f"{TRIO}, run", HYPERCORN, ("--worker-class=trio",), run=True),
    Server("Hypercorn on asyncio", HYPERCORN, ("--worker-class=asyncio",)),
    Server("uvicorn on asyncio", UVICORN, ("--loop=asyncio", "--http=h11")),
    Server(
        "uvicorn on asyncio, TCP_NODELAY",
        UVICORN,
        ("--loop=asyncio", f"--http={PROGRAMS}.http_nodelay:NoDelay"),
    ),
    Server("uvicorn on winloop", UVICORN, ("--loop=winloop:new_event_loop", "--http=h11")),
)


@contextmanager
def started(where: Machine, certificate: Path | None) -> Iterator[dict[str, tuple[Child, str]]]:
    """Give the processes of all servers and their ports; they end with the block."""
    with ExitStack() as stack:
        children = {}
        for server in SERVERS:
            children[server.name] = child = server.start(where, certificate)
            stack.callback(child.finish)
            stack.callback(child.kill)  # which comes before
        ports = {}
        for name, child in children.items():
            while not (found := re.search(r"unning on https?://[\d.]+:(\d+)", child.line(""))):
                pass
            ports[name] = child, found[1]
        yield ports


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
