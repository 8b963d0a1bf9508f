"""The peers: ``python -m tests.soak.peers``, outside of the process under test.

It prints the ports that it listens on, for streams and for datagrams, and ends with its standard
input.  A connection begins with a line ``KIND OFFSET SIZE``, and its payload and trailer come

* ``drip``: in single bytes, with random pauses,
* ``flood``: all at once,
* ``half``: all at once with the end of the stream; this side goes on listening,
* ``urgent``: with an out-of-band byte in the middle,
* ``reset``: all at once; when the other side acknowledges that, some more, and a reset,
* ``vanish``: all at once, and then nothing, not even the end.

The line ``hurry`` makes all drips send the rest at once, those that begin a moment later too.

A datagram ``KIND COUNT ID`` begins a conversation: ``COUNT`` datagrams are sent from a socket of
its own.  After each burst it waits for the datagram ``ack N ID``, with the number received so far.
So the kernel never has to drop one.

* ``flood``: small datagrams, many at a time,
* ``oversized``: large ones among them, larger than most buffers,
* ``spoof``: those of another socket among them, which is a sender of its own,
* ``vanish``: some, and then the socket is closed, so that sending there fails,
* ``echo``: small ones, each of which has to come back, in order and once, instead of the ``ack``.
"""

from __future__ import annotations

import random
import socket
import sys
import threading
import zlib
from contextlib import suppress
from typing import Any

import trio

from tests.hostile import RESET_ON_CLOSE

from .account import raise_file_limit
from .payload import LARGEST, SMALLEST, URGENT, datagram, payload, trailer

PAUSE = 1.0  # seconds between the bytes of a drip, at the most
MOMENT = 1.0  # seconds that a hurry lasts
AFTERMATH = 10_000  # bytes that come just before a reset

#: How many datagrams may wait in a receive buffer.  The kernel counts more than their bytes.
BURSTS = {"flood": 64, "oversized": 2, "spoof": 64, "vanish": 8, "echo": 64}
SMALL = 1200  # bytes of most datagrams, at the most
SILENCE = 60.0  # seconds after which the other side must have closed its socket

hurried = trio.Event()
acknowledgements: dict[str, trio.MemorySendChannel[int]] = {}


async def serve_stream(stream: trio.SocketStream) -> None:
    global hurried
    with suppress(trio.BrokenResourceError):
        async with stream:
            line = b""
            while not line.endswith(b"\n"):
                data = await stream.receive_some(100)
                if not data:
                    return
                line += data
            if line == b"hurry\n":
                hurried.set()
                await trio.sleep(MOMENT)
                hurried = trio.Event()
            else:
                kind, offset, size = line.decode().split()
                await behave(stream, kind, int(offset), int(size))


async def behave(stream: trio.SocketStream, kind: str, offset: int, size: int) -> None:
    data = payload(offset, 0, size)
    if kind == "drip":
        event = hurried
        for i in range(size):
            with trio.move_on_after(random.uniform(0, PAUSE)):
                await event.wait()
            await stream.send_all(data[i : i + 1])
    elif kind == "urgent":
        await stream.send_all(data[: size // 2])
        await stream.socket.send(URGENT, socket.MSG_OOB)
        await stream.send_all(data[size // 2 :])
    else:
        await stream.send_all(data)
    await stream.send_all(trailer(size, zlib.crc32(data)))
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


async def serve() -> None:
    control = trio.socket.socket(type=socket.SOCK_DGRAM)
    await control.bind(("127.0.0.1", 0))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    print(listener.socket.getsockname()[1], control.getsockname()[1], flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve_stream, [listener])
        while True:
            line, address = await control.recvfrom(100)
            kind, number, name = line.decode().split()
            if kind != "ack":
                nursery.start_soon(converse, kind, int(number), name, address)
            elif name in acknowledgements:
                await acknowledgements[name].send(int(number))


if __name__ == "__main__":
    raise_file_limit()
    threading.Thread(target=trio.run, args=(serve,), daemon=True).start()
    sys.stdin.read()
