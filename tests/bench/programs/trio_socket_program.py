"""Trio's sockets, below its streams: they can receive into a buffer."""

from __future__ import annotations

import trio

from tests.bench.programs import (
    ANSWER,
    HOST,
    LARGE,
    LARGEST_FRAME,
    LENGTH,
    ROUND,
    Task,
    say,
    tasks,
)


async def bulk(sock: trio.socket.SocketType) -> None:
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


async def frames(sock: trio.socket.SocketType) -> None:
    header = memoryview(bytearray(LENGTH))
    body = memoryview(bytearray(LARGEST_FRAME))
    while await fill(sock, header):
        size = int.from_bytes(header, "big")
        if size:
            await fill(sock, body[:size])
        else:
            await sock.send(ANSWER)


WORKS = {"bulk": bulk, "frames": frames}


async def perform(task: Task) -> None:
    with trio.socket.socket() as sock:
        await sock.connect((HOST, task.port))
        task.prepare(sock)
        await WORKS[task.work](sock)
    say("receives", 0)


async def main() -> None:
    for task in tasks():
        await perform(task)


if __name__ == "__main__":
    trio.run(main)
