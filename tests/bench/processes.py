"""The processes that take part: a generator for each connection's far end, and the subjects."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .meter import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .works import Work

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
    """What one round of a work took.

    Attributes:
      units: how much was done, in units of the work.
      seconds: how long it took, on the generator's clock.
      processor: the processor time of the subject, and of Wine's server, in seconds.
      generator: how long the generator was busy, in seconds.
    """

    units: float
    seconds: float
    processor: float
    generator: float


class Session:
    """A subject at work: connected to a generator of its own, until `finish`."""

    def __init__(self, load: Path, subject: Child, work: Work, server: int | None) -> None:
        self.units = 0.0
        self._subject = subject
        self._pids = (subject.pid, server)
        arguments = [work.load, *map(str, (work.connections, work.rate, work.size))]
        self._generator = Child([str(load), *arguments])
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

    def round(self, count: int, unit: float) -> Sample:
        """Do the work so many times, with ``unit`` units of it each time."""
        before = processor_seconds(*self._pids)
        self._generator.tell(str(count))
        seconds, generator = self._expect("round")
        self.settle()
        processor = processor_seconds(*self._pids) - before
        self.units += count * unit
        return Sample(count * unit, seconds, processor, generator)

    def abandon(self) -> None:
        """End the subject at once, and with it the connections."""
        self._subject.kill()
        self._generator.finish()

    def finish(self) -> float:
        """End the connections, and return how many receives the subject has counted."""
        self._generator.finish()
        (receives,) = self._subject.expect("receives")
        return receives
