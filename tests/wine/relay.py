"""Runs the Windows CPython with pipes as its standard streams and copies the bytes, as they come, both ways."""

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Sequence
from types import FrameType
from typing import IO, NoReturn

from .environment import WindowsPython

CHUNK = 65536


class Signalled(BaseException):
    def __init__(self, number: int) -> None:
        self.number = number


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Signalled(number)


def run(python: WindowsPython, args: Sequence[str]) -> int:
    """Run `python ARGS…` on our own standard streams and return its exit status."""
    environ = python.environ()
    subprocess.call(["wineserver", "-p60"], env=environ)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    child = subprocess.Popen(
        python.command(args),
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    try:
        assert child.stdin and child.stdout and child.stderr
        ended = os.pidfd_open(child.pid)
        threading.Thread(target=feed, args=(child.stdin, ended), daemon=True).start()
        outputs = [
            threading.Thread(target=copy, args=(child.stdout.fileno(), 1, ended), daemon=True),
            threading.Thread(target=copy, args=(child.stderr.fileno(), 2, ended), daemon=True),
        ]
        for thread in outputs:
            thread.start()
        status = child.wait()
        for thread in outputs:
            thread.join()
        return status if status >= 0 else 128 - status
    except Signalled as signalled:
        child.kill()
        child.wait()
        return 128 + signalled.number


def copy(source: int, target: int, ended: int) -> None:
    """Copy until the source ends, or until the child has ended and the source has nothing more."""
    with contextlib.suppress(OSError):
        while source in select.select([source, ended], [], [])[0]:
            data = os.read(source, CHUNK)
            if not data:
                break
            while data:
                data = data[os.write(target, data) :]


def feed(target: IO[bytes], ended: int) -> None:
    """Copy our standard input to the child's, and close that one after it."""
    with contextlib.suppress(OSError), target:
        copy(0, target.fileno(), ended)
