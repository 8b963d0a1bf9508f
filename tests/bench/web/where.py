"""Where the time of a request goes in Hypercorn: on stock Trio, and under ``run``.

Hypercorn answers under cProfile, which makes each call of a Python function dearer, so Python's
shares are upper bounds.  The time of what is written in C, and of the standard library, counts with
whoever called it.  `libraries` makes the functions of Windows visible.
"""

from __future__ import annotations

import pstats
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.machine import windows_path
from tests.bench.processes import Child
from tests.bench.programs.http_app import BODY
from tests.bench.subjects import PROGRAMS
from tests.bench.summary import list_table
from tests.bench.where import PACKAGE

from .serving import CONNECTIONS

if TYPE_CHECKING:
    from tests.bench.machine import Machine

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "stock Trio": (),
    "run": ("-m", "trio_wsarecv", "run"),
}
REQUESTS: Final = 1000

SENDING: Final = "sending: send"
RECEIVING: Final = "receiving: recv, WSARecv"
READINESS: Final = "polling for readiness: DeviceIoControl, WSAIoctl"
PACKETS: Final = "fetching packets: GetQueuedCompletionStatusEx"
TRIO: Final = "Trio"
OURS: Final = "this package"
HYPERCORN: Final = "Hypercorn"
H11: Final = "h11"
REST: Final = "the application, and the rest"
KINDS: Final = (SENDING, RECEIVING, READINESS, PACKETS, TRIO, OURS, HYPERCORN, H11, REST)

#: Calls of the system, by what is in the names that the profiler has for them.
CALLS: Final = {
    "'send' of '_socket.socket'": SENDING,
    "'recv' of '_socket.socket'": RECEIVING,
    "WSARecv": RECEIVING,
    "DeviceIoControl": READINESS,
    "WSAIoctl": READINESS,
    "GetQueuedCompletionStatusEx": PACKETS,
}
#: Packages, by what is in the names of their files; attrs writes functions that have no file.
FILES: Final = {
    PACKAGE: OURS,
    "/hypercorn/": HYPERCORN,
    "/h11/": H11,
    "/site-packages/trio/": TRIO,
    "/site-packages/outcome/": TRIO,
    "<attrs generated methods": TRIO,
    "/programs/http_app.py": REST,
}
STEPS: Final = "steps of a task, from one wait to the next"
IN_PYTHON: Final = "calls of functions written in Python"
IN_C: Final = "calls of functions written in C"
COUNTS: Final = (SENDING, RECEIVING, READINESS, PACKETS, STEPS, IN_PYTHON, IN_C)

Function = tuple[str, int, str]


def find(text: str, kinds: dict[str, str]) -> str | None:
    return next((kind for part, kind in kinds.items() if part in text), None)


def kind(function: Function) -> str | None:
    """Return what the time of a function counts as; none if that is its caller's."""
    path, _, name = function
    path = path.replace("\\", "/")
    native = path == "~" or path.endswith("/bench/libraries.py")
    return find(name, CALLS) if native else find(path, FILES)


class Profile:
    """What the profiler found in so many requests.

    Attributes:
      shares: of each kind, in the whole time.
      counts: how often something was done for each request.
    """

    def __init__(self, file: Path, requests: int) -> None:
        seconds: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
        for function, (_, calls, own, _, callers) in stats.items():
            if found := kind(function):
                seconds[found] += own
            else:
                for caller, (_, _, its, _) in callers.items():
                    seconds[kind(caller) or REST] += its
            times = calls / requests
            self.counts[IN_C if function[0] == "~" else IN_PYTHON] += times
            if found and found in CALLS.values():
                self.counts[found] += times
            if "'run' of '_contextvars.Context'" in function[2]:
                self.counts[STEPS] += times
        whole = seconds.total()
        self.shares = Counter({name: own / whole for name, own in seconds.items()})


def profiled(where: Machine, load: Path, before: tuple[str, ...], target: Path) -> Profile:
    """Have Hypercorn answer requests under cProfile, which leaves its result in a file."""
    paths = PROGRAMS.parent / "profiled.py", target, PROGRAMS / "http_serving.py"
    command = [*where.launcher, where.python, *before, *map(windows_path, paths)]
    server = Child(command, where.environ, where.folder)
    (port,) = server.expect("port")
    generator = Child([str(load), f"{port:.0f}", str(CONNECTIONS), BODY])
    generator.expect("connected")
    generator.tell(f"{REQUESTS} 0")
    generator.expect("round")
    generator.finish()
    server.finish()
    return Profile(target, REQUESTS)


def measure(where: Machine, load: Path, output: Path | None) -> None:
    """Profile Hypercorn, print what came out, and write it into a folder."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        profiles = {
            name: profiled(where, load, before, Path(folder, f"{name}.prof"))
            for name, before in COLUMNS.items()
        }
    shares = [(name, *(f"{each.shares[name]:.0%}" for each in profiles.values())) for name in KINDS]
    counts = [
        (name, *(f"{each.counts[name]:,.1f}" for each in profiles.values())) for name in COUNTS
    ]
    lines = [".. Written by tests/bench/web/where.py."]
    for title, rows in (("Share of Hypercorn's time", shares), ("For each request", counts)):
        header = (title, *profiles)
        for first, *rest in (header, *rows):
            print(f"  {first:62}" + "".join(f"{cell:>12}" for cell in rest))
        print()
        lines += ["", *list_table(header, rows)]
    if output:
        (output / "http-where.inc").write_text("\n".join(lines) + "\n", "utf-8")
