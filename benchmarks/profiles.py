"""What receives and web requests consist of, by cProfile in the Windows CPython.

For single receives the calls are counted.  For works and web servers it is shown where the time
goes.  The profiler adds time to every call of a Python function, so Python's shares are upper
bounds.  C functions and the standard library count with their caller.
"""

from __future__ import annotations

import pstats
from collections import Counter
from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import Any, Final, TypeAlias

from .machine import REPOSITORY, SCRATCH, Machine, windows_path
from .results import OURS, RUN, STOCK, Figure, Table
from .rounds import Session
from .web import CONNECTIONS, ask
from .works import PROGRAMS, WORKS

SCRIPT: Final = PROGRAMS.parent / "profiled.py"
PROFILE: Final = SCRATCH / "profile"
SECONDS: Final = 0.5
BUSY: Final = ("bulk", "chunks", "frames", "echo-1", "echo-50")

COUNTS: Final = {
    "python": "calls of Python functions",
    "native": "calls of C functions",
    "system": "system calls",
    "posted": "bytes posted",
}
MODES: Final = {
    "waiting": ("a receive that has to wait", ("python", "native", "system")),
    "inline": ("a receive whose data is there", ("python", "native", "system")),
    "burst": ("a 64-byte message after a burst of 2 MiB", ("system", "posted")),
}

STEPS: Final = "steps of a task, from one wait to the next"
REST: Final = "the program, and the rest"
RECV: Final = "'recv' of '_socket.socket'"
#: What the calls of the system and of cffi count as, by parts of the profiler's names for them.
CALLS: Final = {
    "sending: send": ("'send' of '_socket.socket'",),
    "receiving: recv, WSARecv": (RECV, "WSARecv"),
    "polling for readiness: DeviceIoControl, WSAIoctl": ("DeviceIoControl", "WSAIoctl"),
    "fetching packets: GetQueuedCompletionStatusEx": ("GetQueuedCompletionStatusEx",),
    "creating bytes objects": ("unpack",),
}
#: The system calls that a receive may need.
NEEDED: Final = (RECV, "WSARecv", "DeviceIoControl", "GetQueuedCompletionStatusEx", "CancelIoEx")
#: What packages count as, by parts of their files' names; functions made by attrs have no file.
FILES: Final = {
    "Trio": ("/site-packages/trio/", "/site-packages/outcome/", "<attrs generated methods"),
    "this package": (windows_path(REPOSITORY / "trio_wsarecv").replace("\\", "/") + "/",),
    "Hypercorn": ("/hypercorn/",),
    "h11": ("/h11/",),
    REST: ("/benchmarks/programs/",),
}
#: No part of the program: the profiler's own module, and what only Wine needs.
LEFT_OUT: Final = {"profiled.py", "sitecustomize.py"}

Function: TypeAlias = "tuple[str, int, str]"  # its file, line and name; a C function's file is "~"


def left_out(function: Function) -> bool:
    return PureWindowsPath(function[0]).name in LEFT_OUT


def kind(function: Function) -> str | None:
    """Return what the time of a function counts as; None if it counts with its caller."""
    path, _, name = function
    path = path.replace("\\", "/")
    kinds, text = (CALLS, name) if path == "~" or left_out(function) else (FILES, path)
    return next((kind for kind, parts in kinds.items() if any(p in text for p in parts)), None)


def read_profile() -> tuple[Counter[str], Counter[str]]:
    """Return the seconds that were spent on each kind, and how often some were called."""
    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    stats: dict[Any, Any] = pstats.Stats(str(PROFILE)).stats  # type: ignore[attr-defined]
    for function, (_, times, own, _, callers) in stats.items():
        path, _, name = function
        if "readline" in name or "_lsprof" in name:
            continue  # the first blocks until the next task comes, the other is the profiler
        if found := kind(function):
            seconds[found] += own
            calls[found] += times
        else:
            for caller, (_, _, its, _) in callers.items():
                seconds[kind(caller) or REST] += its
        if path == "~":
            calls["native"] += times - sum(n for by, (n, *_) in callers.items() if left_out(by))
        elif not left_out(function):
            calls["python"] += times
        calls[STEPS] += times if "'run' of '_contextvars.Context'" in name else 0
        if (path == "~" or left_out(function)) and any(part in name for part in NEEDED):
            calls["system"] += times
    return seconds, calls


def shares(key: str, title: str, seconds: Counter[str]) -> Table:
    table = Table(f"where-{key}", title, Figure("share of the time", "%"), "")
    for name in (*CALLS, *FILES):
        table.add(name, 100 * seconds[name] / seconds.total())
    return table


def times(where: Machine) -> Iterator[Table]:
    """Profile the works that have no pauses, and Hypercorn at full load."""
    profiled = (SCRIPT, PROFILE, "program")
    program = where.python(*profiled, PROGRAMS / "trio_program.py", OURS, "streams")
    for work in (work for work in WORKS if work.key in BUSY):
        child = where.start(program)
        session = Session(child, work, where.server)
        count = work.start
        while session.round(count, work.unit).seconds < SECONDS:
            count *= 2
        session.finish()
        child.finish()
        seconds, _ = read_profile()
        yield shares(work.key, work.title, seconds)
    for name in ("Trio", "run"):
        program = where.python(*profiled, PROGRAMS / "http_app.py", run=name == "run")
        server = where.start(program)
        (port,) = server.expect("port")
        requests, _ = ask(f"http://127.0.0.1:{port:.0f}/", CONNECTIONS, 2)
        server.finish()
        seconds, calls = read_profile()
        title = f"Hypercorn, {name}"
        yield shares(f"http-{name}", title, seconds)
        often = Table(f"where-http-{name}-calls", title, Figure("calls", "per request"), "")
        for counted in (*[*CALLS][:4], STEPS):
            often.add(counted, calls[counted] / requests)
        often.add("calls of functions written in Python", calls["python"] / requests)
        often.add("calls of functions written in C", calls["native"] / requests)
        yield often


def count(where: Machine, receives: int) -> Iterator[Table]:
    """Count for stock Trio, for this package, and for Trio under ``run``."""
    for mode, (title, keys) in MODES.items():
        tables = {
            key: Table(f"calls-{mode}-{key}", title, Figure(COUNTS[key], "per receive"))
            for key in keys
        }
        for name, kind, run in ((STOCK, STOCK, False), (OURS, OURS, False), (RUN, STOCK, True)):
            arguments = (SCRIPT, PROFILE, "receives", kind, mode, str(receives))
            child = where.start(where.python(*arguments, run=run))
            posted = int(child.answer("posted"))
            child.finish()
            _, calls = read_profile()
            calls["posted"] = posted
            for key, table in tables.items():
                table.add(name, calls[key] / receives)
        yield from tables.values()
