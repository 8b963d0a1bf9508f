"""Where the time goes, of a receive and of a web request: by cProfile, in the Windows CPython.

The profiler makes each call of a Python function dearer, so Python's shares are upper bounds.  The
time of what is written in C, and of the standard library, counts with whoever called it.  What is
called in a DLL is invisible to it; `libraries` puts a function before each that it sees.
"""

from __future__ import annotations

import pstats
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import wrk
from .machine import windows_path
from .processes import REPOSITORY, Child, Session
from .subjects import PROGRAMS, python
from .table import Figure, Table
from .web.serving import CONNECTIONS
from .works import WORKS

if TYPE_CHECKING:
    from .machine import Machine
    from .works import Work

SCRIPT: Final = PROGRAMS.parent / "profiled.py"
SECONDS: Final = 0.5
BUSY: Final = ("bulk", "chunks", "frames", "echo-1", "echo-50")
SHARE: Final = Figure("share of the time", "%")
COUNT: Final = Figure("how often", "per request")

SENDING: Final = "sending: send"
RECEIVING: Final = "receiving: recv, WSARecv"
READINESS: Final = "polling for readiness: DeviceIoControl, WSAIoctl"
PACKETS: Final = "fetching packets: GetQueuedCompletionStatusEx"
BYTES: Final = "creating bytes objects"
TRIO: Final = "Trio"
OURS: Final = "this package"
REST: Final = "the program, and the rest"
KINDS: Final = (
    *(SENDING, RECEIVING, READINESS, PACKETS, BYTES, TRIO, OURS, "Hypercorn", "h11", REST),
)
#: Calls of the system, and of cffi, by what is in the names that the profiler has for them.
CALLS: Final = {
    "'send' of '_socket.socket'": SENDING,
    "'recv' of '_socket.socket'": RECEIVING,
    "WSARecv": RECEIVING,
    "DeviceIoControl": READINESS,
    "WSAIoctl": READINESS,
    "GetQueuedCompletionStatusEx": PACKETS,
    "unpack": BYTES,
}
#: Packages, by what is in the names of their files; attrs writes functions that have no file.
FILES: Final = {
    windows_path(REPOSITORY / "trio_wsarecv").replace("\\", "/") + "/": OURS,
    "/hypercorn/": "Hypercorn",
    "/h11/": "h11",
    "/site-packages/trio/": TRIO,
    "/site-packages/outcome/": TRIO,
    "<attrs generated methods": TRIO,
    "/bench/programs/": REST,
}
STEPS: Final = "steps of a task, from one wait to the next"
IN_PYTHON: Final = "calls of functions written in Python"
IN_C: Final = "calls of functions written in C"
COUNTED: Final = (SENDING, RECEIVING, READINESS, PACKETS, STEPS, IN_PYTHON, IN_C)


def kind(function: tuple[str, int, str]) -> str | None:
    """Return what the time of a function counts as; None if that is its caller's."""
    path, _, name = function
    path = path.replace("\\", "/")
    native = path == "~" or path.endswith("/bench/libraries.py")
    kinds, text = (CALLS, name) if native else (FILES, path)
    return next((kind for part, kind in kinds.items() if part in text), None)


def read(file: Path) -> tuple[Counter[str], Counter[str]]:
    """Return the seconds of each kind, and how often each function of some kinds was called."""
    seconds: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    stats: dict[Any, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    for function, (_, calls, own, _, callers) in stats.items():
        if "readline" in function[2]:
            continue  # which blocks until there is another task
        found = kind(function)
        if found:
            seconds[found] += own
        else:
            for caller, (_, _, its, _) in callers.items():
                seconds[kind(caller) or REST] += its
        counts[IN_C if function[0] == "~" else IN_PYTHON] += calls
        if found in COUNTED:
            counts[found] += calls
        if "'run' of '_contextvars.Context'" in function[2]:
            counts[STEPS] += calls
    return seconds, counts


def shares(key: str, title: str, seconds: Counter[str]) -> Table:
    table = Table(f"where-{key}", title, SHARE, "")
    for name in KINDS:
        table.add(name, 100 * seconds[name] / seconds.total())
    return table


def _profiled(where: Machine, target: Path, program: str, *, run: bool = False) -> Child:
    command = python(where, SCRIPT, target, PROGRAMS / f"{program}.py", run=run)
    return Child(command, where.environ, where.folder)


def _work(where: Machine, work: Work, target: Path) -> None:
    child = _profiled(where, target, "trio_wsarecv_program")
    session = Session(child, work, where.server)
    count = work.start
    while session.round(count, work.unit).seconds < SECONDS:
        count *= 2
    session.finish()
    child.finish()


def measure(where: Machine) -> list[Table]:
    """Profile the works that keep this package busy."""
    tables = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for work in WORKS:
            if work.key in BUSY:
                target = Path(folder, work.key)
                _work(where, work, target)
                tables.append(shares(work.key, work.title, read(target)[0]))
    return tables


def measure_web(where: Machine) -> list[Table]:
    """Profile Hypercorn at full load, on stock Trio and under ``run``."""
    tables = []
    for name in ("Trio", "run"):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            target = Path(folder, "profile")
            server = _profiled(where, target, "http_serving", run=name == "run")
            (port,) = server.expect("port")
            asked = wrk.ask(f"http://127.0.0.1:{port:.0f}/", CONNECTIONS, 2)
            server.finish()
            seconds, counts = read(target)
        title = f"Hypercorn on Trio{', run' if name == 'run' else ''}, at full load"
        often = Table(f"where-http-{name}-calls", title, COUNT, "")
        for each in COUNTED:
            often.add(each, counts[each] / asked.requests)
        tables += [shares(f"http-{name}", title, seconds), often]
    return tables
