"""Runs the Windows CPython with pipes as standard streams, and copies the bytes as they come."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any, NoReturn

assert sys.platform != "win32"

from .environment import WindowsPython, ensure  # noqa: E402
from .server import end_orphans, start_server  # noqa: E402
from .system import Problem, say  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

CHUNK = 1 << 16
CONTROL_C_EXIT = 0x3A  # the low 8 bits of STATUS_CONTROL_C_EXIT
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(BaseException):
    """The first signal to end has come; later ones are ignored during clean-up."""


def main(args: Sequence[str]) -> int:
    """Do what `python ARGS…` does on Windows, and return its exit status."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Signalled(number)

    # Closed standard streams become the null device, so that no pipe gets their numbers.
    while os.open(os.devnull, os.O_RDWR) <= 2:
        pass
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    # In the background, reading from the terminal then fails instead of stopping this process.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        return run(ensure(), args)
    except Problem as problem:
        say(str(problem))
        return 1
    except Signalled as signalled:
        return 128 + int(signalled.args[0])


def run(python: WindowsPython, args: Sequence[str]) -> int:
    """Run `python ARGS…` on our own standard streams and return its exit status."""
    server = start_server(python.wineprefix)
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen(
        # The child ends when we end, and gets a terminal's Ctrl-C from us only.
        ["setpriv", "--pdeathsig", "KILL", *python.command(args)],
        start_new_session=True,
        env={**python.environ(), **terminal_environ()},
        bufsize=0,
        **pipes,
    )
    passed: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        """Pass SIGINT on to the program and its children; Wine turns it into CTRL_C_EVENT."""
        passed.append(number)
        os.killpg(child.pid, number)

    own = signal.getsignal(signal.SIGINT)
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
        if own is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, pass_on)
        try:
            select.select([ended, server], [], [])
        finally:
            signal.signal(signal.SIGINT, own)
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


def terminal_environ() -> dict[str, str]:
    """Tell sitecustomize.py which streams are terminals behind the pipes, and their size."""
    streams = {1: "stdout", 2: "stderr"}
    terminals = {number: name for number, name in streams.items() if os.isatty(number)}
    if not terminals:
        return {}
    columns, lines = os.get_terminal_size(min(terminals))
    names = " ".join(terminals.values())
    return {"WINPYTHON_TERMINALS": names, "COLUMNS": str(columns), "LINES": str(lines)}


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
