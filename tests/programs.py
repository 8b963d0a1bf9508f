"""Programs that are run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import trio_wsarecv

PROGRAMS = Path(__file__).parent / "cli" / "programs"
DEADLINE = 50  # seconds; the whole test has 60


def environment() -> dict[str, str]:
    """Return the variables for another Python process that tests the same package."""
    package = str(Path(trio_wsarecv.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def start(*arguments: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start Python with pipes: under Wine it cannot start with a file as standard stream."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(),
    )


def run_unread(*arguments: str) -> tuple[int, list[str]]:
    """Run a command of the package that cannot write its output; return status and messages."""
    with start("-m", "trio_wsarecv", *arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        lines = process.stderr.read().decode().splitlines()
    return process.returncode, lines


class Program:
    """A program that has been started, by default in the folder of those of the command line."""

    def __init__(self, *arguments: str, stdin: bytes = b"", cwd: Path = PROGRAMS) -> None:
        self._process = start(*arguments, cwd=cwd)
        self._stdin = stdin
        self.pid = self._process.pid

    def end(self) -> None:
        try:
            output = self._process.communicate(self._stdin, timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output = self._process.communicate()
            raise AssertionError(f"still running after {DEADLINE} s", output) from None
        self.stdout, self.stderr = (text.decode().replace("\r\n", "\n") for text in output)
        self.status = self._process.returncode


def run(*programs: Program) -> None:
    for program in programs:
        program.end()
