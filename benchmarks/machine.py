"""The machine that the subjects run on: Windows, or Wine on Linux with a server of its own.

Wine's server does the kernel's part, so its processor time counts with the subject's.  The server
of a Wine prefix serves all programs of that prefix.  So the benchmarks have a prefix to themselves,
which shares its files with that of the Windows CPython.

A subject and Wine's server wait for each other in turn, so they share one processor.  The load
generator and this process have another one.  A free scheduler would sometimes put them together and
sometimes apart, and waking another processor costs more than what is measured here.

While a polled socket is readable and the subject has not taken its packet yet, Wine's server polls
that socket again and again.  So it has the lowest priority: with the same priority as the subject,
it would go on for as long as the scheduler lets it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any, Final, NamedTuple

import psutil

from tools import packages

if sys.platform != "win32":
    from tools.wine.environment import ensure
    from tools.wine.prefix import windows_path as windows_path
    from tools.wine.system import COMMANDS, COMPILER, install_missing_packages

    ALLOWED = os.sched_getaffinity(0)  # at import, because a machine can be inside another one
else:
    windows_path = str
    COMPILER = "gcc"

REPOSITORY: Final = Path(__file__).resolve().parents[1]
REQUIREMENTS: Final = "benchmarks/requirements.txt"
#: Debian's packages with the tools, besides those that the Windows CPython needs.
TOOLS: Final = {"gcc": ["gcc", "libc6-dev"], "wrk": ["wrk"]}
DEADLINE: Final = 120.0  # seconds for any answer; thousands of connections take their time

#: For what exists during a run of the benchmarks only.
SCRATCH: Final = Path(tempfile.mkdtemp(prefix="bench-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


def ensure_tools() -> None:
    """Install the tools that are missing, where that is possible."""
    if sys.platform == "linux":
        install_missing_packages({**COMMANDS, **TOOLS})


@cache
def build(name: str, *options: str, compiler: str = COMPILER) -> Path:
    """Compile what is written in C, by default for Windows."""
    source, target = Path(__file__).parent / "native" / f"{name}.c", SCRATCH / f"{name}.exe"
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, "-O2", *warnings, source, "-o", target, *options], check=True)
    return target


def processor_seconds(*pids: int | None) -> float:
    """Return the processor time that these processes have used so far, in seconds."""
    if sys.platform == "linux":
        # In nanoseconds; psutil has hundredths of a second there.
        tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids if pid is not None)


class ProcessError(Exception):
    """A process has ended, or has not answered as expected."""


class Child:
    """A process that answers lines with lines; those for the benchmark begin with ``bench``."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        folder: Path = REPOSITORY,
    ) -> None:
        self._command = " ".join(command)
        # Pipes, all three: CPython under Wine does not start on files.
        pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "stderr": STDOUT}
        self._process: Any = subprocess.Popen(command, env=environ, cwd=folder, text=True, **pipes)
        self.pid = self._process.pid

    def tell(self, line: str) -> None:
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except OSError:
            raise ProcessError(f"ended before {line!r}: {self.end()}") from None

    def expect(self, name: str) -> list[float]:
        """Wait for the line ``bench NAME FIGURES…`` and return its figures."""
        return [float(word) for word in self.answer(name).split()]

    def answer(self, name: str) -> str:
        """Wait for the line ``bench NAME REST`` and return the rest of it."""
        return self.find(f"bench {name} (.*)")

    def find(self, pattern: str) -> str:
        """Wait for a line with this and return its group."""
        log: deque[str] = deque(maxlen=30)
        watchdog = threading.Timer(DEADLINE, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                if found := re.search(pattern, line):
                    return found[1]
                log.append(line)
        finally:
            watchdog.cancel()
        raise ProcessError(f"no answer {pattern!r} from: {self._command}\n{''.join(log)}")

    def end(self) -> str:
        """End the process at once, and return its command and the rest of its output."""
        self._process.kill()
        try:
            output, _ = self._process.communicate(timeout=2)
        except subprocess.TimeoutExpired as late:  # Wine's services may have its standard output
            output = (late.output or b"").decode(errors="replace")
        return f"{self._command}\n{output}"

    def finish(self, kill: bool = False) -> None:
        """Let the process end, which it does when its standard input ends; or kill it."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(0 if kill else 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Machine(NamedTuple):
    """How to start what runs on Windows."""

    name: str
    launcher: tuple[str, ...]  # what comes before the name of a program
    executable: str  # of Python
    environ: Mapping[str, str]
    server: int | None = None  # the process of Wine's server, if there is one
    folder: Path = REPOSITORY  # the working directory, from which the package is imported
    pinning: str = "nothing is pinned to a processor, so the figures vary"

    def python(self, *arguments: str | Path, run: bool = False) -> tuple[str, ...]:
        """Return the command that starts the Windows CPython, on request with ``run``."""
        before = ("-m", "trio_wsarecv", "run") if run else ()
        words = (windows_path(word) if isinstance(word, Path) else word for word in arguments)
        return (*self.launcher, self.executable, *before, *words)

    def start(self, command: Sequence[str]) -> Child:
        return Child(command, self.environ, self.folder)

    @contextlib.contextmanager
    def started(
        self, commands: Mapping[str, Sequence[str]], kill: bool = False
    ) -> Iterator[dict[str, Child]]:
        """Start these processes; they end with the block, or are killed then."""
        with contextlib.ExitStack() as stack:
            children = {}
            for name, command in commands.items():
                children[name] = self.start(command)
                stack.callback(children[name].finish, kill)
            yield children


@contextlib.contextmanager
def windows() -> Iterator[Machine]:
    """Give the machine until the block ends."""
    installed = packages.ensure(REQUIREMENTS)
    if sys.platform == "win32":
        path = os.pathsep.join([str(REPOSITORY), str(installed)])
        yield Machine("Windows", (), sys.executable, {**os.environ, "PYTHONPATH": path})
    else:
        python, prefix = ensure(), Path(tempfile.mkdtemp(dir=SCRATCH))
        files = shutil.ignore_patterns("drive_c")
        shutil.copytree(python.wineprefix, prefix, True, files, dirs_exist_ok=True)
        (prefix / "drive_c").symlink_to(python.wineprefix / "drive_c")
        environ = {**python.environ(), "WINEPREFIX": str(prefix)}
        environ["PYTHONPATH"] += ";" + windows_path(installed)
        first, last, before = min(ALLOWED), max(ALLOWED), os.sched_getaffinity(0)
        here = ("taskset", "--cpu-list", str(last))
        others = f"the Windows CPython and its wineserver to processor {last}"
        pinning = f"pinned: the load generator to processor {first}, {others}"
        command = [*here, "wineserver", "--foreground", "--persistent"]
        server = psutil.Popen(command, -1, None, DEVNULL, DEVNULL, DEVNULL, env=environ)
        # A client that finds no server would start another one, whose time is not counted.
        while not server.net_connections("unix"):
            if server.poll() is not None:
                raise ProcessError("Wine's server has ended")
            time.sleep(0.01)
        os.sched_setscheduler(server.pid, os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(0, {first})  # of this process, and of the generators
        name = subprocess.check_output(["wine", "--version"], env=environ, text=True).split()[0]
        start = (*here, "wine"), str(python.python_exe)
        try:
            yield Machine(name, *start, environ, server.pid, pinning=pinning)
        finally:
            os.sched_setaffinity(0, before)
            subprocess.call(["wineserver", "--kill"], env=environ)
            server.wait()
