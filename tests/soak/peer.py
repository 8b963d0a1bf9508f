"""The far ends: ``python -m tests.soak.peer``, outside of the process under test.

It prints the port that it listens on.  A connection begins with a line ``KIND OFFSET SIZE``, and
its payload and trailer come

* ``drip``: in single bytes, with random pauses,
* ``flood``: all at once,
* ``half``: all at once with the end of the stream; this side goes on listening,
* ``urgent``: with an out-of-band byte in the middle,
* ``reset``: all at once; when the other side acknowledges that, some more, and a reset,
* ``vanish``: all at once, and then nothing, not even the end.

The line ``hurry`` has all drips send the rest at once.  The process ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import sys
import threading
import zlib
from contextlib import suppress

from .payload import URGENT, payload, trailer

if sys.platform != "win32":
    import resource

PAUSE = 1.0  # seconds between the bytes of a drip, at the most
AFTERMATH = 10_000  # bytes that come just before a reset
RESET_ON_CLOSE = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)

hurried = False


async def serve(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with sock, suppress(ConnectionError):
        line = b""
        while not line.endswith(b"\n"):
            data = await loop.sock_recv(sock, 100)
            if not data:
                return
            line += data
        await behave(sock, *line.decode().split())


async def behave(sock: socket.socket, kind: str, *numbers: str) -> None:
    global hurried
    loop = asyncio.get_running_loop()
    if kind == "hurry":
        hurried = True
        return
    offset, size = map(int, numbers)
    data = payload(offset, 0, size)
    end = trailer(size, zlib.crc32(data))
    if kind == "drip":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(size):
            if not hurried:
                await asyncio.sleep(random.uniform(0, PAUSE))
            await loop.sock_sendall(sock, data[i : i + 1])
    elif kind == "urgent":
        await loop.sock_sendall(sock, data[: size // 2])
        await send_urgent(sock)
        await loop.sock_sendall(sock, data[size // 2 :])
    else:
        await loop.sock_sendall(sock, data)
    await loop.sock_sendall(sock, end)
    if kind == "reset":
        if await loop.sock_recv(sock, 1):
            await loop.sock_sendall(sock, bytes(AFTERMATH))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        return
    if kind != "vanish":
        sock.shutdown(socket.SHUT_WR)
    while await loop.sock_recv(sock, 1000):
        pass


async def send_urgent(sock: socket.socket) -> None:
    while not try_to_send_urgent(sock):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def try_to_send_urgent(sock: socket.socket) -> bool:
    try:
        sock.send(URGENT, socket.MSG_OOB)
    except BlockingIOError:
        return False
    return True


async def main() -> None:
    loop = asyncio.get_running_loop()
    tasks = set()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)
        print(listener.getsockname()[1], flush=True)
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setblocking(False)
            task = asyncio.create_task(serve(sock))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


def raise_file_limit() -> None:
    """Have as many connections as the system allows."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    raise_file_limit()
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    asyncio.run(main())
