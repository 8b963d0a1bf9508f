"""Who is measured, and how each is started."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .machine import windows_path
from .processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
      environ: the variables to start it with.
      folder: the working directory to start it in.
      works: the names of the works that it takes part in; None means all.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    works: frozenset[str] | None = None

    def start(self) -> Child:
        return Child(self.command, self.environ, self.folder)

    def does(self, work: str) -> bool:
        return self.works is None or work in self.works


def program(machine: Machine, name: str, *arguments: str, run: bool = False) -> tuple[str, ...]:
    """Return what starts one of the programs with these arguments."""
    path = windows_path(PROGRAMS / f"{name}.py")
    run_it = ("-m", "trio_wsarecv", "run") if run else ()
    return (*machine.launcher, machine.python, *run_it, path, *arguments)


def subjects(machine: Machine, binaries: Binaries) -> list[Subject]:
    """Return all that are compared on this machine."""

    def raw(mode: str) -> tuple[str, ...]:
        return (*machine.launcher, str(binaries.raw), mode)

    def subject(
        name: str, command: tuple[str, ...], works: frozenset[str] | None = None
    ) -> Subject:
        return Subject(name, command, machine.environ, machine.folder, works)

    asyncio_works = frozenset({"paced", "bulk", "chunks", "frames", "echo", "idle"})
    raw_works = frozenset({"paced", "bulk", "frames", "echo", "idle", "cancel"})
    return [
        subject(STOCK, program(machine, "trio_program")),
        subject(SOCKET, program(machine, "trio_socket_program"), frozenset({"bulk", "frames"})),
        subject(OURS, program(machine, "trio_wsarecv_program")),
        subject(RUN, program(machine, "trio_program", run=True)),
        *(
            subject(f"{loop} {title}", program(machine, f"asyncio_{style}", loop), asyncio_works)
            for loop in LOOPS
            for style, title in STYLES.items()
        ),
        subject(RAW, raw("packets"), raw_works),
        subject(RAW_SKIP, raw("skip"), raw_works),
    ]


@contextmanager
def started(subjects: Iterable[Subject]) -> Iterator[dict[str, Child]]:
    """Give the processes of subjects, all started at once, that end with the block."""
    with ExitStack() as stack:
        children = {}
        for subject in subjects:
            children[subject.name] = child = subject.start()
            stack.callback(child.finish)
        yield children
