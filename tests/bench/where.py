"""Where the time of a receive goes: ``python -m tests.bench.where``.

Each work that keeps the subject busy is done once under cProfile, in the Windows CPython.  The
profiler makes each call of a Python function dearer, so Python's shares are upper bounds.  It does
not see calls into a DLL, whose time counts with the function that makes them.
"""

from __future__ import annotations

import pstats
import tempfile
from collections import Counter
from pathlib import Path

from tests import packages

from . import build, machine
from .processes import Child, Session
from .subjects import PROGRAMS, windows_path
from .summary import OUTPUT, list_table
from .works import WORKS, Work

HERE = Path(__file__).parent
SECONDS = 0.5

SYSTEM = "receiving and sending: recv, send, WSARecv"
PACKETS = "looking for packets: GetQueuedCompletionStatusEx"
BYTES = "making bytes of what came"
TRIO = "Trio's own lines"
OURS = "this package's lines"
PROGRAM = "the program"
#: The functions whose own time is that of what they call in a DLL, or in C.
FUNCTIONS = {
    "get_events": PACKETS,
    "submit": SYSTEM,
    "take": BYTES,
    "_receive_much_at_once": BYTES,
}


def kind(path: str, function: str) -> str:
    """Return what the time of a function counts as."""
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    if path == "~":
        return SYSTEM if "_socket.socket" in function else PROGRAM
    path = path.replace("\\", "/")
    if path.rpartition("/")[0].endswith("/trio_wsarecv"):
        return OURS
    return TRIO if "/site-packages/" in path or path.startswith("<") else PROGRAM


def shares(profile: Path) -> Counter[str]:
    """Return the share of each kind in the time that was profiled."""
    seconds: Counter[str] = Counter()
    stats = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    for (path, _, function), (_, _, own, _, _) in stats.items():
        # Reading the next task blocks until there is one.
        if "readline" not in function and "tasks" not in function:
            seconds[kind(path, function)] += own
    whole = seconds.total()
    return Counter({name: own / whole for name, own in seconds.items()})


def profiled(where: machine.Machine, load: tuple[str, ...], work: Work, target: Path) -> None:
    """Do a work under cProfile, and leave the result in a file."""
    paths = HERE / "profiled.py", target, PROGRAMS / "trio_wsarecv_program.py"
    command = [*where.launcher, where.python, *map(windows_path, paths)]
    child = Child(command, where.environ)
    session = Session(load, child, work, where.server)
    count = work.start
    while session.round(count, work.unit).seconds < SECONDS:
        count *= 2
    session.finish()
    child.finish()


def main() -> None:
    busy = [work for work in WORKS if not work.rate]
    columns: dict[str, Counter[str]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        machine.windows(packages.ensure("bench")) as where,
    ):
        scratch = Path(folder)
        load = (*where.generator_launcher, str(build.build(scratch).load))
        for work in busy:
            target = scratch / f"{work.key}.prof"
            profiled(where, load, work, target)
            columns[work.key] = shares(target)
    header = ("Share of the time", *columns)
    rows = [
        (name, *(f"{column[name]:.0%}" for column in columns.values()))
        for name in (SYSTEM, PACKETS, BYTES, TRIO, OURS, PROGRAM)
    ]
    for first, *rest in (header, *rows):
        print(f"{first:52}" + "".join(f"{cell:>9}" for cell in rest))
    lines = [".. Written by tests/bench/where.py.", "", *list_table(header, rows)]
    (OUTPUT / "where.inc").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
