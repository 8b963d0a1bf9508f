"""Compares how many bytes cancelled receives lose: ``python -m tests.soak.loss``.

A sender sends 32 MiB in pieces of 16 KiB, a random moment apart.  Each library receives them in a
Windows CPython; each receive is given 0 to 2 ms, is cancelled then, and another begun.  All that
matters is how many bytes its receives gave in the end.  asyncio and winloop receive by
``loop.sock_recv``, trio and trio_wsarecv by a stream's ``receive_some``.

With ``--write`` the results go into the documentation, too.  The exit status is 1 if trio_wsarecv
lost anything, if too few receives were cancelled to say so, or if a program could not be run.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import platform
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import trio

import trio_wsarecv
from tools import packages
from tools.children import SET_UP, WINDOWS_PYTHON, child
from tools.windows import SYSTEM

RESULTS = Path(__file__).parents[2] / "docs" / "loss-results.inc"
LIBRARIES = ("asyncio", "winloop", "trio", "trio_wsarecv")
TOTAL = 32 << 20
PIECE = 16 << 10
PATIENCE = 0.002  # the most seconds until a receive is cancelled
PAUSE = 0.008  # the most seconds between two pieces
DEADLINE = 240.0  # seconds for each library
CANCELLED = 100  # the fewest cancelled receives that say anything


def send(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    piece = bytes(PIECE)
    with sock, suppress(ConnectionError):
        for _ in range(TOTAL // PIECE):
            time.sleep(random.uniform(0, PAUSE))
            sock.sendall(piece)


def measure(name: str) -> Any:
    """Have a library receive, and return what `receive` prints."""
    path = [str(packages.ensure("benchmarks/requirements.txt")), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=send, args=(listener,), daemon=True).start()
        port = str(listener.getsockname()[1])
        command = [*WINDOWS_PYTHON, "-m", "tests.soak.loss", name, port]
        with child(command, DEADLINE, stdout=subprocess.PIPE, env=environ) as process:
            output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{name}: exit status {process.returncode}\n{output}")
    return json.loads(output.splitlines()[-1])


def compare(*options: str) -> int:
    subprocess.run([*WINDOWS_PYTHON, "-c", "pass"], check=True, timeout=SET_UP)
    status = 0
    rows = []
    for name in LIBRARIES:
        library, system, cancelled, received = measure(name)
        lost = TOTAL - received
        rows.append(f"   {library} | {cancelled:,} | {received:,} | {lost:,} | {lost / TOTAL:.2%}")
        if cancelled < CANCELLED or (lost and name == "trio_wsarecv"):
            status = 1
    lines = [
        ".. Written by tests/soak/loss.py --write.",
        f"\nOf {TOTAL:,} bytes, measured on Windows CPython on {system}:\n",
        ".. csv-table::",
        "   :header: Library | Receives cancelled | Bytes received | Bytes lost | Of all",
        "   :delim: |",
        "   :class: figures\n",
        *rows,
    ]
    print("\n".join(lines))
    if "--write" in options:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return status


async def receive_all(receive: Callable[[float], Awaitable[bytes | None]]) -> tuple[int, int]:
    """Receive to the end by a function that returns None when it timed out.

    Returns how many receives were cancelled, and how many bytes they gave in all.
    """
    cancelled = received = 0
    while (data := await receive(random.uniform(0, PATIENCE))) != b"":
        cancelled += data is None
        received += len(data or b"")
    return cancelled, received


async def by_asyncio(port: int) -> tuple[int, int]:
    loop = asyncio.get_running_loop()

    async def receive(seconds: float) -> bytes | None:
        try:
            if sys.version_info < (3, 11):
                return await asyncio.wait_for(loop.sock_recv(sock, PIECE), seconds)
            async with asyncio.timeout(seconds):
                return await loop.sock_recv(sock, PIECE)
        except asyncio.TimeoutError:
            return None

    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        return await receive_all(receive)


async def by_trio(port: int) -> tuple[int, int]:
    async def receive(seconds: float) -> bytes | None:
        with trio.move_on_after(seconds):
            return bytes(await stream.receive_some(PIECE))
        return None

    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        return await receive_all(receive)


def receive(name: str, port: str) -> int:
    """Receive by a library, and print its name, the system, and what `receive_all` returns."""
    library = f"trio {trio.__version__}"
    if name == "trio_wsarecv":
        trio_wsarecv.patch_trio()
        library = f"trio_wsarecv {trio_wsarecv.__version__}, {library}"
    if name.startswith("trio"):
        counts = trio.run(by_trio, int(port))
        calls = trio_wsarecv.statistics().wsarecv_calls
        if bool(calls) is not (name == "trio_wsarecv"):
            raise RuntimeError(f"{calls} calls of WSARecv: this was not {name}")
    else:
        loop: Any = importlib.import_module(name).new_event_loop()
        own = f"asyncio ({type(loop).__name__}), Python {platform.python_version()}"
        library = own if name == "asyncio" else f"{name} {version(name)}"
        counts = loop.run_until_complete(by_asyncio(int(port)))
    print(json.dumps([library, SYSTEM, *counts]), flush=True)
    return 0


if __name__ == "__main__":
    receives = sys.argv[1:2] and sys.argv[1] in LIBRARIES
    sys.exit(receive(*sys.argv[1:]) if receives else compare(*sys.argv[1:]))
