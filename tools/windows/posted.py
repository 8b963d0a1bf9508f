"""What a receive costs on Windows by its memory: ``python posted.py [MESSAGES ROUNDS]``.

Under Wine this shows nothing: memory is not locked there, and a system call is a round trip to
another process.  A peer in another process sends each message of 64 bytes back.  A receive *waits*
if it is submitted before its message has arrived, otherwise the message *is there* and the receive
succeeds inline; without skip mode, a packet follows then, too.
"""

from __future__ import annotations

import select
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trio_wsarecv._winsock.calls import NULL, ffi, kernel32, ws2_32

if TYPE_CHECKING:
    from collections.abc import Iterator

assert sys.platform == "win32", "this is about Windows"
import _overlapped  # type: ignore[import-not-found]  # noqa: E402

MESSAGE: Final = bytes(64)
KIB: Final = 1024
AREA: Final = 64 * KIB  # the shared area for what does not fit a datagram's memory
PEER: Final = """
import socket, sys
sock = socket.socket(type=int(sys.argv[1]))
sock.connect(("127.0.0.1", int(sys.argv[2])))
sock.send(b"hello")
while data := sock.recv(65536):
    sock.send(data)
"""


class Way(NamedTuple):
    """A way to receive by an overlapped ``WSARecv``."""

    kind: socket.SocketKind
    size: int
    area: int = 0
    skips: bool = False
    waits: bool = True

    def __str__(self) -> str:
        memory = f"{self.size // KIB} KiB{' and the overflow area' if self.area else ''}"
        mode = "skip mode" if self.skips else "default mode"
        return f"{self.kind.name} {'waits' if self.waits else 'is there'}, {memory}, {mode}"


@contextmanager
def connected(kind: socket.SocketKind) -> Iterator[socket.socket]:
    """Give a socket whose peer, a process, sends all that it receives back."""
    with socket.socket(type=kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            sock.listen()
        command = [sys.executable, "-c", PEER, str(int(kind)), str(sock.getsockname()[1])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
            try:
                if kind is socket.SOCK_STREAM:
                    sock, _ = sock.accept()
                    sock.recv(100)
                else:
                    sock.connect(sock.recvfrom(100)[1])
                with sock:
                    yield sock
            finally:
                peer.kill()


def measure(way: Way, sock: socket.socket, count: int) -> tuple[float, float]:
    """Receive so many messages; return what one costs in µs: processor time, median latency."""
    handle = sock.fileno()
    port = _overlapped.CreateIoCompletionPort(_overlapped.INVALID_HANDLE_VALUE, 0, 0, 1)
    _overlapped.CreateIoCompletionPort(handle, port, 0, 0)
    if way.skips:
        kernel32.SetFileCompletionNotificationModes(handle, 1)
    memory: Any = ffi.new("RECEIVE *")
    blocks = [ffi.new("char[]", size) for size in (way.size, way.area) if size]
    buffers: Any = ffi.new("WSABUF[]", [(len(block), block) for block in blocks])
    overlapped = ffi.addressof(memory, "overlapped")
    received, flags = ffi.addressof(memory, "received"), ffi.addressof(memory, "flags")

    def receive() -> bool:
        memory.flags = 0
        arguments = (buffers, len(blocks), received, flags, overlapped, NULL)
        return bool(ws2_32.WSARecv(handle, *arguments)) or not way.skips

    times, spent = [], time.process_time()
    for _ in range(count):
        begin = time.perf_counter()
        packet_follows = way.waits and receive()
        sock.send(MESSAGE)
        if not way.waits:
            select.select([sock], [], [])
            packet_follows = receive()
        if packet_follows:
            _overlapped.GetQueuedCompletionStatus(port, 60_000)
        times.append(time.perf_counter() - begin)
    return (time.process_time() - spent) / count * 1e6, statistics.median(times) * 1e6


def main() -> None:
    """Measure everything in each round, and print the medians of the rounds."""
    messages, rounds = map(int, sys.argv[1:] or (20_000, 3))
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    ways = [Way(stream, kib * KIB) for kib in (1, 4, 16, 64, 256)]
    ways += [Way(datagram, kib * KIB, area) for area in (0, AREA) for kib in (1, 4, 16, 64)]
    for kind, area in ((stream, 0), (datagram, AREA)):
        ways += [Way(kind, KIB, area, skips, waits=False) for skips in (False, True)]
    measured = defaultdict(list)
    for _ in range(rounds):
        for way in ways:
            with connected(way.kind) as sock:
                measured[way].append(measure(way, sock, messages))
    print("subject\tprocessor time, µs per message\tlatency, µs")
    for way, figures in measured.items():
        medians = (statistics.median(each) for each in zip(*figures, strict=True))
        print(way, *(f"{median:.2f}" for median in medians), sep="\t")


if __name__ == "__main__":
    main()
