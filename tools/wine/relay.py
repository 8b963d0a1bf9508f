"""Runs the Windows CPython with pipes as standard streams, and copies the bytes as they come."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, NoReturn

assert sys.platform != "win32"

from .server import end_orphans, start_server  # noqa: E402
from .speak import Problem, Signalled  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from .environment import WindowsPython

CHUNK = 1 << 16
CONTROL_C_EXIT = 0x3A  # the low 8 bits of STATUS_CONTROL_C_EXIT


def handle_signals() -> None:
    """Have the first signal to end raise `Signalled`; later ones are ignored during clean-up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def handler(number: int, frame: FrameType | None) -> NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Signalled(number)

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    # In the background, reading from the terminal then fails instead of stopping this process.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)


def run(python: WindowsPython, args: Sequence[str]) -> int:
    """Run `python ARGS…` on our own standard streams and return its exit status."""
    server = start_server(python.wineprefix)
    child = subprocess.Popen(
        # The child ends when we end, and gets a terminal's Ctrl-C from us only.
        ["setpriv", "--pdeathsig", "KILL", *python.command(args)],
        start_new_session=True,
        env={**python.environ(), **terminal_environ()},
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        ended = os.pidfd_open(child.pid)
        start_copying(0, child.stdin.fileno(), child.stdin, ended)
        outputs = [
            start_copying(child.stdout.fileno(), 1, child.stdout, ended),
            start_copying(child.stderr.fileno(), 2, child.stderr, ended),
        ]
        with passing_on_interrupts(child.pid) as passed:
            select.select([ended, server], [], [])
        if is_readable(server) or (child.wait() != 0 and is_readable(server, 0.1)):
            end_orphans(python.wineprefix)
            raise Problem("the wineserver has died, and with it all Windows processes")
        for thread in outputs:
            thread.join()
    except BaseException:
        child.kill()
        child.wait()
        raise
    if passed and child.returncode == CONTROL_C_EXIT:
        return 128 + signal.SIGINT
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


@contextlib.contextmanager
def passing_on_interrupts(group: int) -> Iterator[list[int]]:
    """Pass SIGINT on to the program and its children, where Wine turns it into CTRL_C_EVENT.

    This yields a list that gets an item for each SIGINT.
    """
    passed: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed.append(number)
        os.killpg(group, number)

    own = signal.getsignal(signal.SIGINT)
    if own is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, pass_on)
    try:
        yield passed
    finally:
        signal.signal(signal.SIGINT, own)


def open_standard_streams() -> None:
    """Open the null device for closed standard streams, so that no pipe gets their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def terminal_environ() -> dict[str, str]:
    """Tell sitecustomize.py which streams are terminals behind the pipes, and their size."""
    streams = {1: "stdout", 2: "stderr"}
    terminals = {number: name for number, name in streams.items() if os.isatty(number)}
    if not terminals:
        return {}
    size = os.get_terminal_size(min(terminals))
    return {
        "WINPYTHON_TERMINALS": " ".join(terminals.values()),
        "COLUMNS": str(size.columns),
        "LINES": str(size.lines),
    }


def start_copying(source: int, target: int, pipe: IO[bytes], ended: int) -> threading.Thread:
    """Copy in a thread, and close the child's pipe at the end."""

    def work() -> None:
        with pipe, contextlib.suppress(OSError):
            copy(source, target, ended)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def copy(source: int, target: int, ended: int) -> None:
    """Copy until the source ends, or until the child has ended and no more data is there.

    Processes that the child has left running may keep its end of the pipe open.
    """
    while source in select.select([source, ended], [], [])[0]:
        data = os.read(source, CHUNK)
        if not data:
            return
        while data:
            select.select([], [target], [])
            data = data[os.write(target, data) :]


def is_readable(descriptor: int, timeout: float = 0) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])
