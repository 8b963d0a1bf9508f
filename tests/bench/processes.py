"""The processes that take part: a load generator for each subject, and the subjects."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .meter import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .works import Work

REPOSITORY: Final = Path(__file__).resolve().parents[2]

QUIET = 0.025  # seconds in which a subject that has nothing more to do uses no processor time

LAST_WORDS = 2.0  # seconds

DEADLINE = 120.0  # seconds for any answer; thousands of connections take their time


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
        self._command = command
        # Pipes, all three: CPython under Wine does not start on files.
        self._process = subprocess.Popen(
            command,
            env=environ,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.pid = self._process.pid
        self._log: deque[str] = deque(maxlen=30)

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except OSError:
            raise ProcessError(f"ended before {line!r}: {self.last_words()}") from None

    def expect(self, name: str) -> list[float]:
        """Wait for the line ``bench NAME FIGURES…`` and return its figures."""
        return [float(word) for word in self.answer(name).split()]

    def answer(self, name: str) -> str:
        """Wait for the line ``bench NAME REST`` and return the rest of it."""
        return self.line(f"bench {name}")

    def line(self, prefix: str) -> str:
        """Wait for the line that begins so and return the rest of it."""
        assert self._process.stdout is not None
        watchdog = threading.Timer(DEADLINE, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                self._log.append(line)
                if line.startswith(prefix):
                    return line.removeprefix(prefix)
        finally:
            watchdog.cancel()
        command = " ".join(map(str, self._command))
        raise ProcessError(f"no answer {prefix!r} from: {command}\n" + "".join(self._log))

    def last_words(self) -> str:
        """End the process at once, and return what it said before."""
        self._process.kill()
        try:
            output, _ = self._process.communicate(timeout=LAST_WORDS)
        except subprocess.TimeoutExpired as late:
            # Wine's services may be the subject's children, and have its standard output.
            output = (late.output or b"").decode(errors="replace")
        return f"{' '.join(map(str, self._command))}\n{output}"

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def finish(self) -> None:
        """Let the process end, which it does when its standard input ends."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Sample(NamedTuple):
    """What one round took: all in seconds, the processor time with that of Wine's server."""

    units: float
    seconds: float
    processor: float
    generator: float


def generator(load: str, connections: int, rate: int = 0, size: int = 0) -> Child:
    """Start a load generator: see `tests.bench.load`."""
    arguments = map(str, (load, connections, rate, size))
    return Child([sys.executable, "-m", "tests.bench.load", *arguments], folder=REPOSITORY)


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
        """Wait for a line of the generator; if none comes, the subject may know why."""
        try:
            return self._generator.expect(name)
        except ProcessError as error:
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

    def abandon(self) -> None:
        """End the subject at once, and with it the connections."""
        self._subject.kill()
        self._generator.finish()

    def finish(self) -> None:
        """End the connections."""
        self._generator.finish()
        self._subject.answer("done")
