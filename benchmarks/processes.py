"""The processes that take part: a load generator for each subject, and the subjects."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .works import Work

REPOSITORY: Final = Path(__file__).resolve().parents[1]

QUIET: Final = 0.025  # seconds in which a subject that is done uses no processor time
LAST_WORDS: Final = 2.0  # seconds
DEADLINE: Final = 120.0  # seconds for any answer; thousands of connections take their time


def processor_seconds(*pids: int | None) -> float:
    """Return the processor time that these processes have used so far, in seconds."""
    if sys.platform == "linux":
        # In nanoseconds; the figures of psutil are in hundredths of a second there.
        tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids if pid is not None)


class ProcessError(Exception):
    """A process ended, or said something else than it was asked for."""


class Child:
    """A process that answers lines with lines; those that matter begin with ``bench``."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._command = " ".join(map(str, command))
        # Pipes, all three: CPython under Wine does not start on files.
        pipe, same = subprocess.PIPE, subprocess.STDOUT
        how: dict[str, Any] = {"env": environ, "cwd": folder, "text": True}
        process: Any = subprocess.Popen(command, -1, None, pipe, pipe, same, **how)
        self._process, self._input, self._output = process, process.stdin, process.stdout
        self._log: deque[str] = deque(maxlen=30)
        self.pid = process.pid
        self.kill = process.kill

    def tell(self, line: str) -> None:
        try:
            self._input.write(f"{line}\n")
            self._input.flush()
        except OSError:
            raise ProcessError(f"ended before {line!r}: {self.last_words()}") from None

    def expect(self, name: str) -> list[float]:
        """Wait for the line ``bench NAME FIGURES…`` and return its figures."""
        return [float(word) for word in self.answer(name).split()]

    def answer(self, name: str) -> str:
        """Wait for the line ``bench NAME REST`` and return the rest of it."""
        return self.line(f"bench {name}").strip()

    def line(self, prefix: str) -> str:
        """Wait for the line that begins so and return the rest of it."""
        watchdog = threading.Timer(DEADLINE, self.kill)
        watchdog.start()
        try:
            for line in self._output:
                self._log.append(line)
                if line.startswith(prefix):
                    return str(line.removeprefix(prefix))
        finally:
            watchdog.cancel()
        raise ProcessError(f"no answer {prefix!r} from: {self._command}\n{''.join(self._log)}")

    def last_words(self) -> str:
        """End the process at once, and return what it said before."""
        self.kill()
        try:
            output, _ = self._process.communicate(timeout=LAST_WORDS)
        except subprocess.TimeoutExpired as late:  # Wine's services may have its standard output
            output = (late.output or b"").decode(errors="replace")
        return f"{self._command}\n{output}"

    def finish(self) -> None:
        """Let the process end, which it does when its standard input ends."""
        with contextlib.suppress(OSError):
            self._input.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._output.close()


class Sample(NamedTuple):
    """What one round took: all in seconds, the processor time with that of Wine's server."""

    units: float
    seconds: float
    processor: float
    generator: float

    @property
    def per_unit(self) -> float:
        """The processor time for each unit of the work, in microseconds."""
        return 1e6 * self.processor / self.units


def generator(load: str, connections: int, rate: int = 0, size: int = 0) -> Child:
    """Start a load generator: see `benchmarks.load`."""
    arguments = map(str, (load, connections, rate, size))
    return Child([sys.executable, "-m", "benchmarks.load", *arguments], folder=REPOSITORY)


class Session:
    """A subject at work: connected to a generator of its own, until `finish`."""

    def __init__(self, subject: Child, work: Work, server: int | None) -> None:
        self._subject = subject
        self._pids = (subject.pid, server)
        self._generator = generator(work.load, work.connections, work.rate, work.size)
        (port,) = self._generator.expect("port")
        subject.tell(f"{work.name} {port:.0f} {work.connections}")
        self._expect("connected")
        self.settle()

    def _expect(self, name: str) -> list[float]:
        try:
            return self._generator.expect(name)
        except ProcessError as error:  # the subject may know why
            raise ProcessError(f"{error}{self._subject.last_words()}") from None

    def settle(self) -> None:
        """Wait until the subject has done all there was to do."""
        before = processor_seconds(*self._pids)
        while True:
            time.sleep(QUIET)
            now = processor_seconds(*self._pids)
            if now - before < QUIET / 50:
                return
            before = now

    def round(self, count: int, unit: float, rate: float | None = None) -> Sample:
        """Do the work so many times, each time so many units; at a rate if not the work's own."""
        before = processor_seconds(*self._pids)
        self._generator.tell(str(count) if rate is None else f"{count} {rate}")
        seconds, generator = self._expect("round")
        self.settle()
        processor = processor_seconds(*self._pids) - before
        return Sample(count * unit, seconds, processor, generator)

    def finish(self, *, abandon: bool = False) -> None:
        """End the connections; or end the subject at once, and with it the connections."""
        if abandon:
            self._subject.kill()
        self._generator.finish()
        if not abandon:
            self._subject.answer("done")
