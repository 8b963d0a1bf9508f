"""The subjects: programs that do the same works, each in its own way.

Each line on a subject's standard input is a task: ``WORK PORT CONNECTIONS``.  It connects to the
load generator's port so many times, receives until the end of the streams, reports that, and waits
for the next line.  `benchmarks.load` explains the works.
"""

from __future__ import annotations

import functools
import runpy
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

Data: TypeAlias = "bytes | memoryview"
Action: TypeAlias = "Callable[[Data], Data | None]"

HOST: Final = "127.0.0.1"
NAME_SERVER: Final = Path(__file__).parents[2] / "docs" / "examples" / "names.py"
ROUND: Final = 16 * 1024 * 1024  # of a flood, after which the subject sends a byte back
LARGE: Final = 256 * 1024
PIECE: Final = 64 * 1024  # sent at a time where the sender is no faster than the receiver
LARGEST_FRAME: Final = 1024 * 1024
LENGTH: Final = 4  # of the length before a frame, big-endian
#: A batch of frames, each with its length before it; the last is empty.
FRAMES: Final = (*(8 * (16, 32, 64, 128, 256, 512, 1024)), 0)  # KiB
BATCH: Final = sum(FRAMES) * 1024 + len(FRAMES) * LENGTH
MESSAGE: Final = 64
BURST: Final = 2 * 1024 * 1024
ANSWER: Final = b"!"
DATAGRAMS: Final = 64  # of a burst
DATAGRAM_SIZE: Final = 1200  # bytes, as of a QUIC packet
ROOM: Final = 2048  # for a datagram, enough for what an Ethernet carries
HEADER: Final = struct.Struct("!II")  # of a datagram: its number, and whether to answer
NEXT: Final = struct.Struct("!I")  # the answer: the number of the next datagram
WRONG: Final = 0xFFFFFFFF  # the answer if a datagram with another number has come
END: Final = 1  # the size of the last datagram

#: The receive buffer in a flood, small enough for a processor's cache.  By default Linux lets up to
#: 32 MiB wait, a different amount on each connection: that would measure the machine's memory.
KERNEL_BUFFER: Final = 512 * 1024
FLOODS: Final = {
    *("bulk", "chunks", "dry", "frames"),
    *("datagrams", "datagrams-echo", "datagrams-dns"),
}


class Task(NamedTuple):
    """What a subject is asked to do."""

    work: str
    port: int
    connections: int

    def prepare(self, sock: Any) -> None:
        """Set the socket options for this work."""
        if self.work in FLOODS:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)


def tasks() -> Iterator[Task]:
    """Give the tasks of this subject.

    Reading blocks the event loop, which has nothing to do between the tasks.
    """
    package = sys.modules.get("trio_wsarecv")
    say("package", getattr(package, "__file__", "none"))
    for line in sys.stdin:
        work, port, connections = line.split()
        yield Task(work, int(port), int(connections))
        say("done", work)


def say(name: str, value: object) -> None:
    """Report something to the benchmark."""
    print("bench", name, value, flush=True)


class Ended(Exception):
    """The last datagram has arrived."""


def action_of(work: str) -> Action:
    """Return a function of this work that takes a datagram and returns the answer, if any."""
    expected = 0

    def action(data: Data) -> Data | None:
        nonlocal expected
        if len(data) == END:
            raise Ended
        if work == "datagrams-echo":
            return data
        if work == "datagrams-dns":
            response: bytes = name_server()["answer"](bytes(data), MESSAGE)
            return response
        number, answer = HEADER.unpack_from(data)
        expected = number + 1 if number == expected else WRONG
        return NEXT.pack(expected) if answer else None

    return action


@functools.cache
def name_server() -> dict[str, Any]:
    """Return the names in the DNS server of the documentation."""
    return runpy.run_path(str(NAME_SERVER))
