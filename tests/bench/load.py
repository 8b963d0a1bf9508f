"""The load generator, the far end of all that is measured: ``load.py WORK CONNECTIONS RATE SIZE``.

It says on which port it is, and when all connections are there.  Then each line ``N RATE`` on its
standard input asks for one round of N units of the work, and is answered by the seconds that took
and the processor seconds spent here:

paced
   N messages of SIZE bytes, RATE of them per second, to one connection after the other
flood
   N times ROUND bytes, each answered by a byte
dry
   the same, RATE times per second in pieces of SIZE bytes
frames
   N batches of frames, each with its length before it; the empty one at the end is answered
burst
   N times SIZE bytes to one connection after the other, each answered by a byte
echo
   N messages that come back, one at a time on every connection
idle
   nothing at all
datagrams-paced, datagrams-burst
   N datagrams of SIZE bytes, RATE of them per second, or N bursts of them; the last is answered
datagrams-echo
   N datagrams that come back, one at a time for every peer

A datagram begins with its number and with whether it is to be answered, by the number that the
next one will have, or by a wrong one if any was lost, doubled or overtaken.  So no more are on the
way than the receiver's kernel has room for.  A last one of one byte is the end.

While it waits for an echo or for the answer to a burst it never sleeps: waking it would take longer
than most answers.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from typing import TYPE_CHECKING

from tests.bench.programs import BATCH, DATAGRAMS, END, FRAMES, HOST, LENGTH, MESSAGE, ROUND, say
from tests.bench.programs.ledger import ANSWER, HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60  # seconds for any answer


def schedule(units: int, rate: float, spin: bool = False) -> Iterator[int]:
    """Give the numbers of units, each when its moment has come."""
    begin = time.perf_counter()
    for done in range(units):
        if rate:
            moment = begin + done / rate
            while (left := moment - time.perf_counter()) > 0:
                time.sleep(0 if spin else left)
        yield done


def readable(sockets: list[socket.socket]) -> list[socket.socket]:
    """Wait for answers without sleeping."""
    deadline = time.perf_counter() + DEADLINE
    while time.perf_counter() < deadline:
        if ready := select.select(sockets, (), (), 0)[0]:
            return ready
    sys.exit("no answer")


class Streams:
    """The far ends of connections."""

    def __init__(self, work: str, connections: int, size: int) -> None:
        self._size = size
        if work == "frames":
            lengths = ((kib * 1024).to_bytes(LENGTH, "big") for kib in FRAMES)
            parts = (
                length + bytes(kib * 1024) for length, kib in zip(lengths, FRAMES, strict=True)
            )
            self._batch = b"".join(parts)
            assert len(self._batch) == BATCH
        else:
            self._batch = bytes(ROUND)
        with socket.create_server((HOST, 0), backlog=1024) as listener:
            say("port", listener.getsockname()[1])
            self._sockets = [listener.accept()[0] for _ in range(connections)]
        for sock in self._sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _answers(self, count: int) -> None:
        while count:
            answer = self._sockets[0].recv(count)
            count -= len(answer) or sys.exit("the connection has ended")

    def paced(self, units: int, rate: float) -> None:
        message = bytes(self._size)
        for done in schedule(units, rate):
            self._sockets[done % len(self._sockets)].sendall(message)

    def flood(self, units: int, rate: float) -> None:
        for _ in range(units):
            self._sockets[0].sendall(self._batch)
        self._answers(units)

    frames = flood

    def dry(self, units: int, rate: float) -> None:
        piece, pieces = bytes(self._size), ROUND // self._size
        for _ in schedule(units * pieces, rate * pieces, spin=True):
            self._sockets[0].sendall(piece)
        self._answers(units)

    def burst(self, units: int, rate: float) -> None:
        burst = bytes(self._size)
        for _ in range(units):
            for sock in self._sockets:
                sock.sendall(burst)
            for sock in self._sockets:
                sock.recv(1) or sys.exit("the connection has ended")

    def echo(self, units: int, rate: float) -> None:
        message = bytes(MESSAGE)
        asking = self._sockets[:units]
        missing = dict.fromkeys(asking, MESSAGE)
        asked = len(asking)
        for sock in asking:
            sock.send(message)
        answered = 0
        while answered < units:
            for sock in readable(asking):
                missing[sock] -= len(sock.recv(MESSAGE)) or sys.exit("the connection has ended")
                if missing[sock]:
                    continue
                answered += 1
                if asked < units:
                    asked += 1
                    missing[sock] = MESSAGE
                    sock.send(message)

    def idle(self, units: int, rate: float) -> None:
        pass

    def finish(self) -> None:
        for sock in self._sockets:
            sock.close()


class Datagrams:
    """The peers of one socket."""

    def __init__(self, work: str, peers: int, size: int) -> None:
        self._size = size
        self._sent = 0
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(peers)]
        for sock in self._sockets:
            sock.bind((HOST, 0))
        say("port", self._sockets[0].getsockname()[1])
        _, receiver = self._sockets[0].recvfrom(END)
        for sock in self._sockets:
            sock.connect(receiver)

    def _send(self, sock: socket.socket, answered: bool = False) -> int:
        sock.send(HEADER.pack(self._sent, answered).ljust(self._size, b"\0"))
        self._sent += 1
        return self._sent

    def _answer(self) -> None:
        (number,) = ANSWER.unpack(self._sockets[0].recv(ANSWER.size))
        if number != self._sent:
            sys.exit(f"a datagram was lost, doubled or overtaken, of {self._sent}")

    def paced(self, units: int, rate: float) -> None:
        for done in schedule(units, rate):
            self._send(self._sockets[0], done == units - 1)
        self._answer()

    def burst(self, units: int, rate: float) -> None:
        for _ in range(units):
            for number in range(DATAGRAMS):
                self._send(self._sockets[0], number == DATAGRAMS - 1)
            readable(self._sockets)
            self._answer()

    def echo(self, units: int, rate: float) -> None:
        asking = self._sockets[:units]
        expected = {sock: self._send(sock) for sock in asking}
        asked, answered = len(asking), 0
        while answered < units:
            for sock in readable(asking):
                number, _ = HEADER.unpack_from(sock.recv(self._size))
                if number + 1 != expected[sock]:
                    sys.exit(f"datagram {number} came back, not {expected[sock] - 1}")
                answered += 1
                if asked < units:
                    asked += 1
                    expected[sock] = self._send(sock)

    def finish(self) -> None:
        self._sockets[0].send(bytes(END))


def main() -> None:
    name, connections, rate, size = sys.argv[1:]
    kind, _, work = name.rpartition("-")
    ends = (Datagrams if kind else Streams)(work, int(connections), int(size))
    say("connected", connections)
    perform = getattr(ends, work)
    for line in sys.stdin:
        begin, spent = time.perf_counter(), time.process_time()
        units, _, at = line.partition(" ")
        perform(int(units), float(at or rate))
        seconds = time.perf_counter() - begin
        say("round", f"{seconds:.9f} {time.process_time() - spent:.9f}")
    ends.finish()


if __name__ == "__main__":
    main()
