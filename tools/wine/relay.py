"""Runs the Windows CPython with pipes as standard streams, and copies the bytes as they come."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

assert sys.platform != "win32"

from .environment import WindowsPython, ensure  # noqa: E402
from .prefix import end_orphans, start_server  # noqa: E402
from .system import Problem, say  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

CHUNK = 1 << 16
CONTROL_C_EXIT = 0x3A  # the low 8 bits of STATUS_CONTROL_C_EXIT
INTERRUPTED = 128 + signal.SIGINT


def main(args: Sequence[str]) -> int:
    """Do what `python ARGS…` does on Windows, and return its exit status."""
    # In the background, reading from the terminal then fails instead of stopping this process.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        return run(ensure(), args)
    except Problem as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def run(python: WindowsPython, args: Sequence[str]) -> int:
    """Run `python ARGS…` on our own standard streams and return its exit status."""
    server = start_server(python.wineprefix)
    child = subprocess.Popen(
        # The child ends when we end, and gets a terminal's Ctrl-C from us only.
        ["setpriv", "--pdeathsig", "KILL", "wine", str(python.python_exe), *args],
        start_new_session=True,
        env={**python.environ(), **terminal_environ()},
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin
    assert child.stdout
    assert child.stderr
    start_copying(0, child.stdin.fileno(), child.stdin)
    outputs = [
        start_copying(child.stdout.fileno(), 1, child.stdout),
        start_copying(child.stderr.fileno(), 2, child.stderr),
    ]
    interrupted = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        """Pass SIGINT on to the program and its children; Wine turns it into CTRL_C_EVENT."""
        nonlocal interrupted
        interrupted = True
        os.killpg(child.pid, number)

    own = signal.getsignal(signal.SIGINT)
    if own is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, pass_on)
    ended = os.pidfd_open(child.pid)
    ready, _, _ = select.select([ended, server], [], [])
    signal.signal(signal.SIGINT, own)
    if server not in ready and child.wait() != 0:  # perhaps since the server has ended
        ready, _, _ = select.select([server], [], [], 0.1)
    if server in ready:
        end_orphans(python.wineprefix)
        raise Problem("the wineserver has died, and with it all Windows processes")
    for thread in outputs:
        thread.join()
    return INTERRUPTED if interrupted and child.returncode == CONTROL_C_EXIT else child.returncode


def terminal_environ() -> dict[str, str]:
    """Tell sitecustomize.py which streams are terminals behind the pipes, and their size."""
    streams = {1: "stdout", 2: "stderr"}
    terminals = {number: name for number, name in streams.items() if os.isatty(number)}
    if not terminals:
        return {}
    columns, lines = os.get_terminal_size(min(terminals))
    names = " ".join(terminals.values())
    return {"WINPYTHON_TERMINALS": names, "COLUMNS": str(columns), "LINES": str(lines)}


def start_copying(source: int, target: int, pipe: IO[bytes]) -> threading.Thread:
    """Copy in a thread until the source ends or nobody reads; close the child's pipe then."""

    def copy() -> None:
        with pipe, contextlib.suppress(OSError):
            while data := os.read(source, CHUNK):
                while data:
                    select.select([], [target], [])  # a terminal may be non-blocking
                    data = data[os.write(target, data) :]

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread
