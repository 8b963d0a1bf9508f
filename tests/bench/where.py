"""Where the time of a receive goes: ``python -m tests.bench.where``.

Each work that keeps the subject busy is done once under cProfile, in the Windows CPython.  The
profiler makes each call of a Python function dearer, so Python's shares are upper bounds.  It does
not see calls into a DLL; `libraries` puts a function before each that it sees.
"""

from __future__ import annotations

import pstats
import tempfile
from collections import Counter
from pathlib import Path

from tests import packages

from . import build, machine
from .machine import windows_path
from .processes import Child, Session
from .subjects import PROGRAMS
from .summary import OUTPUT, list_table
from .works import WORKS, Work

HERE = Path(__file__).parent
SECONDS = 0.5

SYSTEM = "receiving and sending: recv, send, WSARecv"
PACKETS = "fetching packets: GetQueuedCompletionStatusEx"
BYTES = "creating bytes objects"
TRIO = "Trio's own lines"
OURS = "this package's lines"
PROGRAM = "the program"
PACKAGE = windows_path(machine.REPOSITORY / "trio_wsarecv").replace("\\", "/") + "/"
#: The functions of Windows that count, of those that `profiled` makes visible.
CALLS = {"WSARecv": SYSTEM, "GetQueuedCompletionStatusEx": PACKETS}
#: What is written in C counts as the program's lines, but for what has such a name.
BUILT_IN = {"_socket.socket": SYSTEM, "unpack": BYTES}


def kind(path: str, function: str) -> str:
    """Return what the time of a function counts as."""
    if path == "~":
        return next((kind for name, kind in BUILT_IN.items() if name in function), PROGRAM)
    path = path.replace("\\", "/")
    if path.endswith("/bench/libraries.py"):
        return CALLS.get(function, TRIO)
    if path.startswith(PACKAGE):
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


def profiled(where: machine.Machine, load: Path, work: Work, target: Path) -> None:
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


def measure(where: machine.Machine, load: Path, output: Path | None) -> None:
    """Profile the busy works, print the shares, and write them into a folder."""
    columns: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for work in (work for work in WORKS if not work.rate):
            target = Path(folder, f"{work.key}.prof")
            profiled(where, load, work, target)
            columns[work.key] = shares(target)
    header = ("Share of the time", *columns)
    rows = [
        (name, *(f"{column[name]:.0%}" for column in columns.values()))
        for name in (SYSTEM, PACKETS, BYTES, TRIO, OURS, PROGRAM)
    ]
    for first, *rest in (header, *rows):
        print(f"{first:52}" + "".join(f"{cell:>9}" for cell in rest))
    if output:
        lines = [".. Written by tests/bench/where.py.", "", *list_table(header, rows)]
        (output / "where.inc").write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        machine.windows(packages.ensure("bench")) as where,
    ):
        measure(where, build.build(Path(scratch)).load, OUTPUT)


if __name__ == "__main__":
    main()
