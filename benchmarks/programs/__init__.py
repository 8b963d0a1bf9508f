"""The subjects: programs that do the same works, each in its own way.

A subject is told on its standard input what to do, a line each time: ``WORK PORT CONNECTIONS``.  It
connects to the load generator's port so many times, receives until the end of the streams, says so,
and waits for the next line.  The works are explained in `benchmarks.load`.
"""

from __future__ import annotations

import functools
import runpy
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Data = bytes | memoryview
    Action = Callable[[Data], Data | None]

HOST: Final = "127.0.0.1"
NAME_SERVER: Final = Path(__file__).parents[2] / "docs" / "examples" / "names.py"
ROUND: Final = 16 * 1024 * 1024  # of a flood, one byte is sent back for each so many
LARGE: Final = 256 * 1024
PIECE: Final = 64 * 1024  # what a sender that is no faster than the receiver sends at a time
LARGEST_FRAME: Final = 1024 * 1024
LENGTH: Final = 4  # of what tells the length of a frame, big-endian
#: A batch of frames, each with its length before it; the last is empty.
FRAMES: Final = (*(8 * (16, 32, 64, 128, 256, 512, 1024)), 0)  # KiB
BATCH: Final = sum(FRAMES) * 1024 + len(FRAMES) * LENGTH
MESSAGE: Final = 64
BURST: Final = 2 * 1024 * 1024
ANSWER: Final = b"!"
DATAGRAMS: Final = 64  # of a burst
DATAGRAM_SIZE: Final = 1200  # bytes, as of a QUIC packet
ROOM: Final = 2048  # what programs offer to a datagram that comes over an Ethernet
HEADER: Final = struct.Struct("!II")  # of a datagram: its number, and whether to answer
NEXT: Final = struct.Struct("!I")  # the answer: the number that the next one must have
WRONG: Final = 0xFFFFFFFF  # the same when another has come
END: Final = 1  # the size of the last datagram

#: Of a flood, the kernel keeps no more than this, which the cache of a processor holds.  Left to
#: itself Linux lets up to 32 MiB wait, on each connection another amount; then the speed of the
#: machine's memory is measured.
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
        """Set what the sockets of this work need."""
        if self.work in FLOODS:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)


def tasks() -> Iterator[Task]:
    """Give what this subject is asked to do, until there is no more.

    Reading blocks the event loop, which has nothing to do between the tasks.
    """
    package = sys.modules.get("trio_wsarecv")
    say("package", getattr(package, "__file__", "none"))
    for line in sys.stdin:
        work, port, connections = line.split()
        yield Task(work, int(port), int(connections))
        say("done", work)


def say(name: str, value: object) -> None:
    """Report something to the program that measures."""
    print("bench", name, value, flush=True)


class Ended(Exception):
    """The last datagram has arrived."""


def action_of(work: str) -> Action:
    """Return what to do with each datagram in this work: it returns what to answer, if anything."""
    expected = 0

    def take(data: Data) -> Data | None:
        nonlocal expected
        if len(data) == END:
            raise Ended
        number, answer = HEADER.unpack_from(data)
        expected = number + 1 if number == expected else WRONG
        return NEXT.pack(expected) if answer else None

    def echo(data: Data) -> Data:
        if len(data) == END:
            raise Ended
        return data

    if work == "datagrams-dns":
        return dns
    return echo if work == "datagrams-echo" else take


@functools.cache
def name_server() -> dict[str, Any]:
    """Return what the DNS server of the documentation is made of."""
    return runpy.run_path(str(NAME_SERVER))


def dns(data: Data) -> Data:
    if len(data) == END:
        raise Ended
    answer: bytes = name_server()["answer"](bytes(data), MESSAGE)
    return answer
