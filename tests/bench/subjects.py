"""Who is measured, and how each is started."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .machine import windows_path
from .processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .machine import Machine

PROGRAMS: Final = Path(__file__).parent / "programs"

STOCK: Final = "trio"
SOCKET: Final = "trio.socket, recv_into"
OURS: Final = "trio_wsarecv"
RUN: Final = "trio_wsarecv run"
LOOPS: Final = ("asyncio", "winloop")
RAW: Final = "raw C"
RAW_SKIP: Final = "raw C, skip on success"

STOCK_DATAGRAMS: Final = "trio recvfrom"
CALLS: Final = ("recvfrom", "recvfrom_into", "recvfrom_many", "recvmsg")

#: The works that not everybody takes part in, by their names in `programs`, and who does.
BUFFERS: Final = frozenset({STOCK, SOCKET, OURS, RUN, *LOOPS, RAW, RAW_SKIP})
ALL: Final = BUFFERS - {SOCKET}
CAST: Final = {
    "bulk": BUFFERS,
    "frames": BUFFERS,
    "chunks": ALL - {RAW, RAW_SKIP},
    "idle": ALL - {RAW_SKIP},
    "cancel": {STOCK, OURS, RUN},
    "burst-default": {STOCK, OURS, RUN},
    "burst-64k": {STOCK, OURS, RUN},
    "burst-drop": {STOCK, OURS, RUN},
}


class Subject(NamedTuple):
    """One of those who are compared: its name in the results, what starts it, and where it runs."""

    name: str
    command: tuple[str, ...]
    machine: Machine

    def start(self) -> Child:
        return Child(self.command, self.machine.environ, self.machine.folder)

    def does(self, work: str) -> bool:
        return work.startswith("datagrams") or self.name in CAST.get(work, ALL)


def python(machine: Machine, *arguments: str | Path, run: bool = False) -> tuple[str, ...]:
    """Return what starts the Windows CPython with a script and so on."""
    before = ("-m", "trio_wsarecv", "run") if run else ()
    words = (windows_path(word) if isinstance(word, Path) else word for word in arguments)
    return (*machine.launcher, machine.python, *before, *words)


def subjects(machine: Machine, raw: Path) -> list[Subject]:
    """Return all that receive on streams on this machine; ``raw`` is the program in C."""

    def program(subject: str, name: str, *arguments: str, run: bool = False) -> Subject:
        command = python(machine, PROGRAMS / f"{name}.py", *arguments, run=run)
        return Subject(subject, command, machine)

    return [
        program(STOCK, "trio_program"),
        program(SOCKET, "trio_socket_program"),
        program(OURS, "trio_wsarecv_program"),
        program(RUN, "trio_program", run=True),
        *(program(loop, "asyncio_program", loop) for loop in LOOPS),
        Subject(RAW, (*machine.launcher, str(raw), "packets"), machine),
        Subject(RAW_SKIP, (*machine.launcher, str(raw), "skip"), machine),
    ]


def datagram_subjects(machine: Machine, raw: Path) -> list[Subject]:
    """Return all that receive datagrams on this machine."""

    def program(subject: str, *arguments: str, run: bool = False) -> Subject:
        return Subject(
            subject, python(machine, PROGRAMS / "datagrams.py", *arguments, run=run), machine
        )

    return [
        program(STOCK_DATAGRAMS, STOCK, "recvfrom"),
        program(f"{RUN} recvfrom", STOCK, "recvfrom", run=True),
        *(program(f"{OURS} {call}", OURS, call) for call in CALLS),
        *(
            Subject(loop, python(machine, PROGRAMS / "datagrams_asyncio.py", loop), machine)
            for loop in LOOPS
        ),
        program("trio wait_overlapped", STOCK, "wait_overlapped"),
        Subject(RAW, (*machine.launcher, str(raw), "packets"), machine),
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
