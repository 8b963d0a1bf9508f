"""How each subject is started, and in which works it takes part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from .machine import Machine, windows_path
from .processes import Child
from .table import BARE, CALLS, LOOPS, OURS, RAW, RAW_SKIP, RUN, RUN_DATAGRAMS, SOCKET, STOCK
from .table import STOCK_DATAGRAMS as STOCK_DATAGRAMS

PROGRAMS: Final = Path(__file__).parent / "programs"

#: Which subjects receive datagrams only.
DATAGRAMS: Final = {STOCK_DATAGRAMS, RUN_DATAGRAMS, *(f"{OURS} {call}" for call in CALLS), BARE}
#: Which subjects do not take part in a work, by the beginning of its name.
ABSENT: Final = {
    "chunks": {RAW, RAW_SKIP},
    "idle": {RAW_SKIP},
    "cancel": {*LOOPS, RAW, RAW_SKIP},
    "burst": {*LOOPS, RAW, RAW_SKIP},
    "datagrams": {STOCK, OURS, RUN, RAW_SKIP},
}


def takes_part(name: str, work: str) -> bool:
    """Return whether a subject takes part in a work, each by its name."""
    kind, _, _ = work.partition("-")
    if work.startswith("datagrams-dns") and name in {BARE, RAW}:
        return False
    if name == SOCKET:
        return kind in {"bulk", "frames"}
    return name not in ABSENT.get(kind, ()) and (kind == "datagrams" or name not in DATAGRAMS)


class Subject(NamedTuple):
    """One of the compared programs: its name in the results, its command, and where it runs."""

    name: str
    command: tuple[str, ...]
    machine: Machine


def python(machine: Machine, *arguments: str | Path, run: bool = False) -> tuple[str, ...]:
    """Return the command that starts the Windows CPython, on request with ``run``."""
    before = ("-m", "trio_wsarecv", "run") if run else ()
    words = (windows_path(word) if isinstance(word, Path) else word for word in arguments)
    return (*machine.launcher, machine.python, *before, *words)


def start_python(machine: Machine, *arguments: str | Path, run: bool = False) -> Child:
    return Child(python(machine, *arguments, run=run), machine.environ, machine.folder)


def subjects(machine: Machine, raw: Path) -> list[Subject]:
    """Return all that are compared on this machine; ``raw`` is the program in C."""

    def program(name: str, script: str, *arguments: str, run: bool = False) -> Subject:
        return Subject(name, python(machine, PROGRAMS / script, *arguments, run=run), machine)

    return [
        program(STOCK, "trio_program.py", "streams"),
        program(SOCKET, "trio_program.py", "sockets"),
        program(OURS, "trio_program.py", "trio_wsarecv"),
        program(RUN, "trio_program.py", "streams", run=True),
        program(STOCK_DATAGRAMS, "datagrams.py", STOCK, "recvfrom"),
        program(RUN_DATAGRAMS, "datagrams.py", STOCK, "recvfrom", run=True),
        *(program(f"{OURS} {call}", "datagrams.py", OURS, call) for call in CALLS),
        program(BARE, "datagrams.py", STOCK, "wait_overlapped"),
        *(program(loop, "asyncio_program.py", loop) for loop in LOOPS),
        Subject(RAW, (*machine.launcher, str(raw), "packets"), machine),
        Subject(RAW_SKIP, (*machine.launcher, str(raw), "skip"), machine),
    ]


@contextmanager
def started(subjects: Iterable[Subject], *, kill: bool = False) -> Iterator[dict[str, Child]]:
    """Start the processes of all these subjects; they end with the block, or are killed then."""
    with ExitStack() as stack:
        children = {}
        for subject in subjects:
            environ, folder = subject.machine.environ, subject.machine.folder
            children[subject.name] = child = Child(subject.command, environ, folder)
            stack.callback(child.finish)
            if kill:
                stack.callback(child.kill)  # which is called first
        yield children
