"""Who is measured, and how each is started."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .build import Binaries
    from .machine import Machine

PROGRAMS = Path(__file__).parent / "programs"

STOCK: Final = "trio"
SOCKET: Final = "trio.socket, recv_into"
OURS: Final = "trio_wsarecv"
RUN: Final = "trio_wsarecv run"
RAW: Final = "raw C"
RAW_SKIP: Final = "raw C, skip on success"
LOOPS: Final = {"asyncio": "asyncio", "winloop": "winloop"}
STYLES: Final = {"streams": "streams", "protocol": "Protocol", "buffered": "BufferedProtocol"}


@dataclass(frozen=True)
class Subject:
    """One of those who are compared.

    Attributes:
      name: what the results call it.
      command: what starts it, under Windows.
      group: those among whom only the best is compared with us.
      works: the names of the works that it takes part in; None means all.
    """

    name: str
    command: tuple[str, ...]
    group: str
    works: frozenset[str] | None = None

    def does(self, work: str) -> bool:
        return self.works is None or work in self.works


def subjects(machine: Machine, binaries: Binaries) -> list[Subject]:
    """Return all that are compared on this machine."""

    def program(name: str, *arguments: str, run: bool = False) -> tuple[str, ...]:
        path = windows_path(PROGRAMS / f"{name}.py")
        run_it = ("-m", "trio_wsarecv", "run") if run else ()
        return (*machine.launcher, machine.python, *run_it, path, *arguments)

    def raw(mode: str) -> tuple[str, ...]:
        return (*machine.launcher, str(binaries.raw), mode)

    asyncio_works = frozenset({"paced", "bulk", "chunks", "frames", "echo", "idle"})
    raw_works = frozenset({"paced", "bulk", "frames", "echo", "idle", "cancel"})
    return [
        Subject(STOCK, program("trio_program"), STOCK),
        Subject(SOCKET, program("trio_socket_program"), SOCKET, frozenset({"bulk", "frames"})),
        Subject(OURS, program("trio_wsarecv_program"), OURS),
        Subject(RUN, program("trio_program", run=True), RUN),
        *(
            Subject(f"{loop} {title}", program(f"asyncio_{style}", loop), loop, asyncio_works)
            for loop in LOOPS
            for style, title in STYLES.items()
        ),
        Subject(RAW, raw("packets"), RAW, raw_works),
        Subject(RAW_SKIP, raw("skip"), RAW_SKIP, raw_works),
    ]


def windows_path(path: Path) -> str:
    if sys.platform == "win32":
        return str(path)
    from tests.wine import prefix

    return prefix.windows_path(path)
