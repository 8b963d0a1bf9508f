"""An echo server on all processors: ``all_cores.py [PORT [WORKERS]]``.

A Python process keeps one processor busy. So the parent opens the listening socket and starts a
worker for each processor; all of them accept from that socket, and the worker that accepts a
connection serves it to its end. Enter, or the end of the input, ends the server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from functools import partial
from subprocess import PIPE
from typing import Any

import trio

import trio_wsarecv


def say(text: object) -> None:
    """In a worker: write a whole line, so that lines of several workers do not mix."""
    os.write(1, f"{text}\n".encode())


async def echo(stream: trio_wsarecv.SocketStream) -> None:
    say(f"worker {os.getpid()} serves a connection")
    with contextlib.suppress(trio.BrokenResourceError):  # the client has reset the connection
        async for data in stream:
            await stream.send_all(data)


async def some_input_or_its_end() -> None:
    await trio.to_thread.run_sync(os.read, 0, 1, abandon_on_cancel=True)


def take_over() -> socket.socket:
    """In a worker: request the listening socket, and return it."""
    say(os.getpid())
    if sys.platform == "win32":
        return socket.fromshare(bytes.fromhex(input()))
    return socket.socket(fileno=int(input()))


async def work() -> None:
    listener = trio_wsarecv.SocketListener(trio_wsarecv.from_stdlib_socket(take_over()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        await some_input_or_its_end()  # the parent asks for the end, or has ended itself
        nursery.cancel_scope.cancel()
    say(f"worker {os.getpid()} ends: {trio_wsarecv.statistics()}")


async def hand_over(sock: trio.socket.SocketType, worker: trio.abc.Stream) -> None:
    """In the parent: give the listening socket to a worker."""
    pid = int(await worker.receive_some())  # which is not the launcher of a virtual environment
    if sys.platform == "win32":
        what = sock.share(pid).hex()
    else:
        what = str(sock.fileno())
    await worker.send_all(f"{what}\n".encode())


async def show_output(worker: trio.abc.ReceiveStream) -> None:
    async for chunk in worker:
        print(chunk.decode(), end="", flush=True)


async def main(port: int, count: int) -> None:
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    options: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE}
    if sys.platform != "win32":
        options["pass_fds"] = [listener.socket.fileno()]
    run = partial(trio.run_process, [sys.executable, __file__, "worker"], **options)
    async with trio.open_nursery() as nursery:
        workers = [(await nursery.start(run)).stdio for _ in range(count)]
        for worker in workers:
            await hand_over(listener.socket, worker)
            nursery.start_soon(show_output, worker)
        print("listening on port", listener.socket.getsockname()[1], flush=True)
        await listener.aclose()  # the workers have theirs
        await some_input_or_its_end()
        for worker in workers:
            await worker.send_eof()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
        trio.run(work)
    else:
        port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
        count = int(sys.argv[2]) if len(sys.argv) > 2 else os.cpu_count() or 1
        trio.run(main, port, count)
