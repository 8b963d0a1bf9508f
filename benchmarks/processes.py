"""The processes that take part, and the processor time that they use."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired
from typing import Any, Final

import psutil

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DEADLINE: Final = 120.0  # seconds for any answer; thousands of connections take their time


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
        folder: Path | None = None,
    ) -> None:
        self._command = " ".join(map(str, command))
        # Pipes, all three: CPython under Wine does not start on files.
        pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "stderr": STDOUT}
        process: Any = Popen(command, env=environ, cwd=folder, text=True, **pipes)
        self._process, self._input, self._output = process, process.stdin, process.stdout
        self.pid = process.pid
        self.kill = process.kill

    def tell(self, line: str) -> None:
        try:
            self._input.write(f"{line}\n")
            self._input.flush()
        except OSError:
            raise ProcessError(f"ended before {line!r}: {self.end()}") from None

    def expect(self, name: str) -> list[float]:
        """Wait for the line ``bench NAME FIGURES…`` and return its figures."""
        return [float(word) for word in self.answer(name).split()]

    def answer(self, name: str) -> str:
        """Wait for the line ``bench NAME REST`` and return the rest of it."""
        return self.line(f"bench {name}").strip()

    def line(self, prefix: str) -> str:
        """Wait for the line that begins like this and return the rest of it."""
        log: deque[str] = deque(maxlen=30)
        watchdog = threading.Timer(DEADLINE, self.kill)
        watchdog.start()
        try:
            for line in self._output:
                if line.startswith(prefix):
                    return str(line.removeprefix(prefix))
                log.append(line)
        finally:
            watchdog.cancel()
        raise ProcessError(f"no answer {prefix!r} from: {self._command}\n{''.join(log)}")

    def end(self) -> str:
        """End the process at once, and return its command and the rest of its output."""
        self.kill()
        try:
            output, _ = self._process.communicate(timeout=2)
        except TimeoutExpired as late:  # Wine's services may have its standard output
            output = (late.output or b"").decode(errors="replace")
        return f"{self._command}\n{output}"

    def finish(self) -> None:
        """Let the process end, which it does when its standard input ends."""
        with contextlib.suppress(OSError):
            self._input.close()
        try:
            self._process.wait(10)
        except TimeoutExpired:
            self.kill()
            self._process.wait()
        self._output.close()
