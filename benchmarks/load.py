"""The load generator, the peer of every subject: ``load.py WORK CONNECTIONS RATE SIZE``.

It reports its port, and when all connections have been made.  Then each line ``N RATE`` on its
standard input asks for one round.  The answer is how many seconds the round took, and how many of
them this process used the processor.

paced: N messages of SIZE bytes, RATE per second, to one connection after the other
flood: N times ROUND bytes; the subject answers each by a byte
dry: the same, RATE times per second, in pieces of SIZE bytes
frames: N batches of frames, each with its length before it; the subject answers the last, empty one
burst: N times SIZE bytes to one connection after the other; the subject answers each by a byte
echo: N messages that come back, one at a time on every connection
idle: nothing
datagrams-paced: N datagrams, RATE per second; the subject answers the last one
datagrams-burst: N bursts of datagrams; the subject answers the last one of each
datagrams-echo: N datagrams that come back, one at a time for every peer
datagrams-dns: N queries for the address of one name, one at a time from every peer

A datagram begins with its number and with whether to answer it.  The answer is the number of the
next one, or a wrong number if one was lost, doubled or overtaken.  A datagram of one byte is the
end.  No more datagrams are sent without an answer than the receiver's kernel has room for.

While it waits for an echo or for the answer to a burst it does not sleep, because waking it would
take longer than most answers.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks import programs
from benchmarks.programs import DATAGRAMS, FRAMES, HEADER, HOST, MESSAGE, NEXT, ROUND, say

DEADLINE: Final = 60  # seconds for any answer
NAME: Final = b"alpha.example"


def schedule(units: int, rate: float, spin: bool = False) -> Iterator[int]:
    """Give the numbers of units, each when it is due."""
    begin = time.perf_counter()
    for done in range(units):
        while rate and (left := begin + done / rate - time.perf_counter()) > 0:
            time.sleep(0 if spin else left)
        yield done


def readable(sockets: list[socket.socket]) -> list[socket.socket]:
    """Wait for answers without sleeping."""
    deadline = time.perf_counter() + DEADLINE
    while time.perf_counter() < deadline:
        if ready := select.select(sockets, (), (), 0)[0]:
            return ready
    sys.exit("no answer")


class Ends:
    """The peers of all connections, or of one datagram socket."""

    sockets: list[socket.socket]

    def echo_each(self, units: int, send: Callable[[socket.socket], int]) -> None:
        """Echo units, one at a time on each socket; `send` returns how many bytes come back."""
        asking = self.sockets[:units]
        missing = {sock: send(sock) for sock in asking}
        left, unasked = units, units - len(asking)
        while left:
            for sock in readable(asking):
                missing[sock] -= len(self.receive(sock, MESSAGE))
                if not missing[sock]:
                    left -= 1
                    if unasked:
                        unasked -= 1
                        missing[sock] = send(sock)

    def receive(self, sock: socket.socket, size: int) -> bytes:
        return sock.recv(size) or sys.exit("the connection has ended")


class Streams(Ends):
    def __init__(self, work: str, connections: int, size: int) -> None:
        self._message = bytes(size)
        self._pieces = ROUND // size if work == "dry" else 1  # of a flood's round
        self._piece = bytes(ROUND // self._pieces)
        if work == "frames":
            lengths = [(1024 * kib).to_bytes(programs.LENGTH, "big") for kib in FRAMES]
            self._piece = b"".join(each + bytes(int.from_bytes(each, "big")) for each in lengths)
        with socket.create_server((HOST, 0), backlog=1024) as listener:
            say("port", listener.getsockname()[1])
            self.sockets = [listener.accept()[0] for _ in range(connections)]
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def paced(self, units: int, rate: float) -> None:
        for done in schedule(units, rate):
            self.sockets[done % len(self.sockets)].sendall(self._message)

    def flood(self, units: int, rate: float) -> None:
        for _ in schedule(units * self._pieces, rate * self._pieces, spin=True):
            self.sockets[0].sendall(self._piece)
        while units:
            units -= len(self.receive(self.sockets[0], units))

    dry = frames = flood

    def burst(self, units: int, rate: float) -> None:
        for _ in range(units):
            for sock in self.sockets:
                sock.sendall(self._message)
            for sock in self.sockets:
                self.receive(sock, 1)

    def echo(self, units: int, rate: float) -> None:
        self.echo_each(units, lambda sock: sock.send(bytes(MESSAGE)))

    def finish(self) -> None:
        for sock in self.sockets:
            sock.close()


class Datagrams(Ends):
    def __init__(self, work: str, peers: int, size: int) -> None:
        self._size = size
        self._sent = 0
        self._expected: dict[socket.socket, bytes] = {}
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(peers)]
        for sock in self.sockets:
            sock.bind((HOST, 0))
        say("port", self.sockets[0].getsockname()[1])
        _, receiver = self.sockets[0].recvfrom(programs.END)
        for sock in self.sockets:
            sock.connect(receiver)

    def _send(self, sock: socket.socket, answered: bool = False) -> int:
        data = HEADER.pack(self._sent, answered).ljust(self._size, b"\0")
        self._sent += 1
        self._expected[sock] = NEXT.pack(self._sent) if answered else data
        return sock.send(data)

    def receive(self, sock: socket.socket, size: int) -> bytes:
        answer = super().receive(sock, size)
        if answer != self._expected[sock]:
            sys.exit(f"a datagram was lost, doubled or overtaken, of {self._sent}")
        return answer

    def paced(self, units: int, rate: float) -> None:
        for done in schedule(units, rate):
            self._send(self.sockets[0], done == units - 1)
        self.receive(self.sockets[0], NEXT.size)

    def burst(self, units: int, rate: float) -> None:
        for _ in range(units):
            for number in range(DATAGRAMS):
                self._send(self.sockets[0], number == DATAGRAMS - 1)
            readable(self.sockets)
            self.receive(self.sockets[0], NEXT.size)

    def echo(self, units: int, rate: float) -> None:
        self.echo_each(units, self._send)

    def dns(self, units: int, rate: float) -> None:
        self.echo_each(units, self._ask)

    def _ask(self, sock: socket.socket) -> int:
        server = programs.name_server()
        identifier = self._sent & 0xFFFF
        question = server["encoded"](NAME) + server["ADDRESS"]
        query = server["HEADER"].pack(identifier, 0, 1, 0, 0, 0) + question
        self._sent += 1
        self._expected[sock] = server["answer"](query, MESSAGE)
        sock.send(query)
        return len(self._expected[sock])

    def finish(self) -> None:
        self.sockets[0].send(bytes(programs.END))


def main() -> None:
    name, connections, rate, size = sys.argv[1:]
    kind, _, work = name.rpartition("-")
    ends = (Datagrams if kind else Streams)(work, int(connections), int(size))
    say("connected", connections)
    for line in sys.stdin:
        begin, spent = time.perf_counter(), time.process_time()
        units, _, at = line.partition(" ")
        getattr(ends, work)(int(units), float(at or rate))
        seconds = time.perf_counter() - begin
        say("round", f"{seconds:.9f} {time.process_time() - spent:.9f}")
    ends.finish()


if __name__ == "__main__":
    main()
