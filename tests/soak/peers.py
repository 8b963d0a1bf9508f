"""The peers, outside of the process under test.

A connection begins with a line ``KIND OFFSET SIZE``.  It gets a section of one long sequence of
random bytes, from its own offset, so that a byte that is lost, repeated, out of place or from
another connection is noticed.  These bytes come

* ``drip``: one at a time, with random pauses,
* ``flood``: all at once, then the end of the stream; this side goes on listening,
* ``urgent``: with an out-of-band byte in the middle,
* ``reset``: all at once; when the other side acknowledges that, some more, and a reset,
* ``vanish``: all at once, and then nothing, not even the end.

A datagram ``KIND COUNT ID`` begins a conversation: ``COUNT`` datagrams are sent from a socket of
its own, each with its sender and its number in front.  After each burst it waits for the datagram
``ack N ID``, with the number received so far.  So the kernel never has to drop one.

* ``flood``: small datagrams, many at a time,
* ``oversized``: large ones among them, larger than most buffers,
* ``spoof``: those of another socket among them, which is a sender of its own,
* ``echo``: small ones, each of which has to come back, in order and once, instead of the ``ack``.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio

from tests.hostile import RESET_ON_CLOSE

LENGTH = 1_000_003  # how many different offsets there are; a payload may be as long
ROW = memoryview(2 * random.Random(2026).randbytes(LENGTH))
URGENT = b"!"
PAUSE = 1.0  # seconds between the bytes of a drip, at the most
AFTERMATH = 10_000  # bytes that come just before a reset

HEADER = struct.Struct(">HI")  # of a datagram: sender and number
#: The sizes of the smallest datagram, and of the largest there can be over IPv4.
SMALLEST, LARGEST = HEADER.size, 65_507
SMALL = 1200  # bytes of most datagrams, at the most
#: How many datagrams may wait in a receive buffer.  The kernel counts more than their bytes.
BURSTS = {"flood": 64, "oversized": 2, "spoof": 64, "echo": 64}
SILENCE = 60.0  # seconds after which the other side must have closed its socket

acknowledgements: dict[str, trio.MemorySendChannel[int]] = {}


def datagram(sender: int, number: int, size: int) -> bytes:
    """Return a datagram of so many bytes."""
    offset = number % 60_000
    return HEADER.pack(sender, number) + ROW[offset : offset + size - SMALLEST]


async def serve_stream(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        async with stream:
            line = b""
            while not line.endswith(b"\n"):
                line += await stream.receive_some(100) or b"\n"
            if words := line.split():
                kind, offset, size = words
                await behave(stream, kind.decode(), ROW[int(offset) :][: int(size)])


async def behave(stream: trio.SocketStream, kind: str, data: memoryview) -> None:
    if kind == "drip":
        for i in range(len(data)):
            await trio.sleep(random.uniform(0, PAUSE))
            await stream.send_all(data[i : i + 1])
    elif kind == "urgent":
        half = len(data) // 2
        await stream.send_all(data[:half])
        await stream.socket.send(URGENT, socket.MSG_OOB)
        await stream.send_all(data[half:])
    else:
        await stream.send_all(data)
    if kind == "reset":
        if await stream.receive_some(1):
            await stream.send_all(bytes(AFTERMATH))
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        return
    if kind != "vanish":
        await stream.send_eof()
    while await stream.receive_some(1000):
        pass


async def converse(kind: str, count: int, name: str, address: Any) -> None:
    rng = random.Random(name)
    acknowledgements[name], acknowledged = trio.open_memory_channel[int](100)
    one, two = (trio.socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    sent = [0, 0]
    with one, two, trio.move_on_after(SILENCE) as silence:
        while sum(sent) < count:
            expected: list[bytes] = []
            for _ in range(min(BURSTS[kind], count - sum(sent))):
                sender = rng.randrange(2) if kind == "spoof" else 0
                size = rng.randint(SMALLEST, LARGEST if kind == "oversized" else SMALL)
                expected.append(datagram(sender, sent[sender], size))
                await (one, two)[sender].sendto(expected[-1], address)
                sent[sender] += 1
            if kind == "echo":
                for data in expected:
                    if await one.recv(LARGEST) != data:
                        return  # so that the other side misses the rest
            else:
                while await acknowledged.receive() < sum(sent):
                    pass
            silence.deadline = trio.current_time() + SILENCE
    del acknowledgements[name]


async def serve(tell: Callable[[tuple[int, int]], None]) -> None:
    """Serve, and tell the ports for streams and for datagrams."""
    control = trio.socket.socket(type=socket.SOCK_DGRAM)
    await control.bind(("127.0.0.1", 0))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    tell((listener.socket.getsockname()[1], control.getsockname()[1]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve_stream, [listener])
        while True:
            line, address = await control.recvfrom(100)
            kind, number, name = line.decode().split()
            if kind != "ack":
                nursery.start_soon(converse, kind, int(number), name, address)
            elif name in acknowledgements:
                await acknowledgements[name].send(int(number))
