"""What a user does first with the package, in a Python with nothing else installed.

With ``--cli``, the extra of that name must be installed, otherwise it must not.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import trio
import trio.testing

import trio_wsarecv


async def receive() -> None:
    """Have a receive wait in the kernel, and complete."""
    ours, peer = socket.socketpair()
    stream = trio_wsarecv.SocketStream(trio_wsarecv.from_stdlib_socket(ours))
    received = b""

    async def fetch() -> None:
        nonlocal received
        received = await stream.receive_exactly(5)

    with peer, trio.fail_after(20):
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(fetch)
            await trio.testing.wait_all_tasks_blocked()
            peer.sendall(b"hello")
    assert received == b"hello"
    count = trio_wsarecv.statistics()
    overlapped = 1 if sys.platform == "win32" else 0
    assert (count.bytes, count.pended, count.overlapped) == (5, 1, overlapped)


def command(*arguments: str) -> str:
    line = [sys.executable, "-I", "-m", "trio_wsarecv", *arguments]
    return subprocess.check_output(line, encoding="utf-8", timeout=30)


def main(arguments: list[str]) -> None:
    assert Path(trio_wsarecv.__file__).is_relative_to(sys.prefix), trio_wsarecv.__file__
    trio.run(receive)
    assert (find_spec("rich") is not None) == (arguments == ["--cli"])
    usage, *_ = command("receive", "--help").splitlines()
    print("  received 5 bytes; the help says:", usage, flush=True)
    if not arguments:
        report = json.loads(command("doctor", "--json"))
        assert report["versions"]["trio_wsarecv"] == trio_wsarecv.__version__
        print("  the doctor says:", report["verdict"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
