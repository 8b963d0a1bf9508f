"""Trio's sockets, below its streams: they can receive into a buffer."""

from __future__ import annotations

from functools import partial

import trio

from tests.bench.programs import ANSWER, LARGE, LARGEST_FRAME, LENGTH, ROUND
from tests.bench.programs.trio_program import perform


async def bulk(stream: trio.SocketStream) -> None:
    sock = stream.socket
    buffer = bytearray(LARGE)
    received = 0
    while size := await sock.recv_into(buffer):
        received += size
        if received >= ROUND:
            received -= ROUND
            await sock.send(ANSWER)


async def fill(sock: trio.socket.SocketType, buffer: memoryview) -> bool:
    filled = 0
    while filled < len(buffer):
        size = await sock.recv_into(buffer[filled:])
        if not size:
            return False
        filled += size
    return True


async def frames(stream: trio.SocketStream) -> None:
    sock = stream.socket
    header = memoryview(bytearray(LENGTH))
    body = memoryview(bytearray(LARGEST_FRAME))
    while await fill(sock, header):
        size = int.from_bytes(header, "big")
        if size:
            await fill(sock, body[:size])
        else:
            await sock.send(ANSWER)


main = partial(perform, trio.open_tcp_stream, {"bulk": bulk, "frames": frames})

if __name__ == "__main__":
    trio.run(main)
