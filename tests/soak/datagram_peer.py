"""Those who send datagrams: ``python -m tests.soak.datagram_peer``, a process of this system.

It prints the port that it listens on.  A datagram ``KIND COUNT ID`` there begins a conversation:
``COUNT`` datagrams are sent from a socket of its own.  After each burst it waits for the datagram
``ack N ID``, which tells how many have come.  So the kernel never has to drop one.

* ``flood``: small datagrams, many at a time,
* ``oversized``: large ones among them, for which hardly anybody has room,
* ``spoof``: those of another socket among them, which is a sender of its own,
* ``vanish``: some, and then the socket is closed, so that what is sent there meets nobody,
* ``echo``: small ones, each of which has to come back, in order and once, instead of the ``ack``.

The process ends with its standard input.
"""

from __future__ import annotations

import random
import socket
import sys
import threading
from typing import Any

import trio

from .numbered import LARGEST, SMALLEST, datagram

#: How many datagrams may wait in a receive buffer.  The kernel counts more than their bytes.
BURSTS = {"flood": 64, "oversized": 2, "spoof": 64, "vanish": 8, "echo": 64}
SMALL = 1200

#: Seconds after which the other side must have closed its socket.
SILENCE = 60.0

Acknowledgements = dict[str, "trio.MemorySendChannel[int]"]


async def converse(
    kind: str, count: int, name: str, address: Any, acknowledgements: Acknowledgements
) -> None:
    rng = random.Random(name)
    acknowledgements[name], acknowledged = trio.open_memory_channel[int](100)
    sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
    own = [trio.socket.from_stdlib_socket(sock) for sock in sockets]
    sent = [0, 0]
    expected: list[bytes] = []
    with sockets[0], sockets[1], trio.move_on_after(SILENCE) as silence:
        while sum(sent) < count:
            for _ in range(min(BURSTS[kind], count - sum(sent))):
                sender = rng.randrange(2) if kind == "spoof" else 0
                size = rng.randint(SMALLEST, LARGEST if kind == "oversized" else SMALL)
                await own[sender].sendto(datagram(sender, sent[sender], size), address)
                sent[sender] += 1
                expected.append(datagram(sender, sent[sender] - 1, size))
            if kind == "echo":
                for data in expected:
                    if await own[0].recv(LARGEST) != data:
                        return  # and so the other side misses the rest
            expected.clear()
            while kind != "echo" and await acknowledged.receive() < sum(sent):
                pass
            silence.deadline = trio.current_time() + SILENCE
    del acknowledgements[name]


async def serve() -> None:
    control = trio.socket.socket(type=socket.SOCK_DGRAM)
    await control.bind(("127.0.0.1", 0))
    print(control.getsockname()[1], flush=True)
    acknowledgements: Acknowledgements = {}
    async with trio.open_nursery() as nursery:
        while True:
            line, address = await control.recvfrom(100)
            kind, number, name = line.decode().split()
            if kind != "ack":
                nursery.start_soon(converse, kind, int(number), name, address, acknowledgements)
            elif name in acknowledgements:
                await acknowledgements[name].send(int(number))


def main() -> None:
    threading.Thread(target=trio.run, args=(serve,), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
