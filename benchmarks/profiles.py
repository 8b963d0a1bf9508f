"""What receives and web requests consist of, by profilers in the Windows CPython.

For single receives the calls are counted.  For works and web servers `cProfile` shows where the
time goes.  It adds time to every call of a Python function, so Python's shares are upper bounds.
C functions and the standard library count with their caller.
"""

from __future__ import annotations

import json
import pstats
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .machine import REPOSITORY, SCRATCH, Machine, windows_path
from .results import OURS, RUN, STOCK, Figure, Table
from .rounds import Session
from .web import CONNECTIONS, ask
from .works import PROGRAMS, WORKS

SCRIPT: Final = PROGRAMS.parent / "profiled.py"
SECONDS: Final = 0.5
BUSY: Final = ("bulk", "chunks", "frames", "echo-1", "echo-50")
SHARE: Final = Figure("share of the time", "%")
COUNT: Final = Figure("calls", "per request")

PER: Final = "per receive"
COUNTS: Final = {
    "python": Figure("calls of Python functions", PER),
    "native": Figure("calls of C functions", PER),
    "system": Figure("system calls", PER),
}
POSTED: Final = {"system": COUNTS["system"], "posted": Figure("bytes posted", PER)}
MODES: Final = {
    "waiting": ("a receive that has to wait", COUNTS),
    "inline": ("a receive whose data is there", COUNTS),
    "burst": ("a 64-byte message after a burst of 2 MiB", POSTED),
}

REST: Final = "the program, and the rest"
#: What the calls of the system and of cffi count as, by parts of the profiler's names for them.
CALLS: Final = {
    "sending: send": ("'send' of '_socket.socket'",),
    "receiving: recv, WSARecv": ("'recv' of '_socket.socket'", "WSARecv"),
    "polling for readiness: DeviceIoControl, WSAIoctl": ("DeviceIoControl", "WSAIoctl"),
    "fetching packets: GetQueuedCompletionStatusEx": ("GetQueuedCompletionStatusEx",),
    "creating bytes objects": ("unpack",),
}
#: What packages count as, by parts of their files' names; functions made by attrs have no file.
FILES: Final = {
    "Trio": ("/site-packages/trio/", "/site-packages/outcome/", "<attrs generated methods"),
    "this package": (windows_path(REPOSITORY / "trio_wsarecv").replace("\\", "/") + "/",),
    "Hypercorn": ("/hypercorn/",),
    "h11": ("/h11/",),
    REST: ("/benchmarks/programs/",),
}
STEPS: Final = "steps of a task, from one wait to the next"
IN_PYTHON: Final = "calls of functions written in Python"
IN_C: Final = "calls of functions written in C"
COUNTED: Final = (*[*CALLS][:4], STEPS, IN_PYTHON, IN_C)


def kind(function: tuple[str, int, str]) -> str | None:
    """Return what the time of a function counts as; None if it counts with its caller."""
    path, _, name = function
    path = path.replace("\\", "/")
    native = path == "~" or path.endswith("/benchmarks/profiled.py")
    kinds, text = (CALLS, name) if native else (FILES, path)
    return next((kind for kind, parts in kinds.items() if any(p in text for p in parts)), None)


def tables(key: str, title: str, profile: Path, requests: int = 1) -> tuple[Table, Table]:
    """Return the share of the time of each kind, and how often some are called per request."""
    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    stats: dict[Any, Any] = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    for function, (_, times, own, _, callers) in stats.items():
        if "readline" in function[2]:
            continue  # it blocks until the next task comes
        if found := kind(function):
            seconds[found] += own
            calls[found] += times
        else:
            for caller, (_, _, its, _) in callers.items():
                seconds[kind(caller) or REST] += its
        calls[IN_C if function[0] == "~" else IN_PYTHON] += times
        calls[STEPS] += times if "'run' of '_contextvars.Context'" in function[2] else 0
    share = Table(f"where-{key}", title, SHARE, "")
    often = Table(f"where-{key}-calls", title, COUNT, "")
    for name in (*CALLS, *FILES):
        share.add(name, 100 * seconds[name] / seconds.total())
    for name in COUNTED:
        often.add(name, calls[name] / requests)
    return share, often


def times(where: Machine) -> Iterator[Table]:
    """Profile the works that have no pauses, and Hypercorn at full load."""
    profile = SCRATCH / "profile"
    for work in (work for work in WORKS if work.key in BUSY):
        program = (PROGRAMS / "trio_program.py", "trio_wsarecv")
        child = where.start(where.python(SCRIPT, "time", profile, *program))
        session = Session(child, work, where.server)
        count = work.start
        while session.round(count, work.unit).seconds < SECONDS:
            count *= 2
        session.finish()
        child.finish()
        yield tables(work.key, work.title, profile)[0]
    for name in ("Trio", "run"):
        command = (SCRIPT, "time", profile, PROGRAMS / "http_app.py")
        server = where.start(where.python(*command, run=name == "run"))
        (port,) = server.expect("port")
        requests, _ = ask(f"http://127.0.0.1:{port:.0f}/", CONNECTIONS, 2)
        server.finish()
        yield from tables(f"http-{name}", f"Hypercorn, {name}", profile, requests)


def count(where: Machine, receives: int) -> Iterator[Table]:
    """Count for stock Trio, for this package, and for Trio under ``run``."""
    for mode, (title, figures) in MODES.items():
        tables = {key: Table(f"calls-{mode}-{key}", title, figures[key]) for key in figures}
        for name, kind, run in ((STOCK, STOCK, False), (OURS, OURS, False), (RUN, STOCK, True)):
            child = where.start(where.python(SCRIPT, "calls", kind, mode, str(receives), run=run))
            counts = json.loads(child.answer("calls"))
            child.finish()
            for key, table in tables.items():
                table.add(name, counts.get(key, 0))
        yield from tables.values()
