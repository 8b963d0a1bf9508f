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


def command(*arguments: str) -> tuple[int, str, str]:
    line = [sys.executable, "-I", "-m", "trio_wsarecv", *arguments]
    result = subprocess.run(line, capture_output=True, encoding="utf-8", timeout=30)
    return result.returncode, result.stdout, result.stderr


def main(arguments: list[str]) -> None:
    assert Path(trio_wsarecv.__file__).is_relative_to(sys.prefix), trio_wsarecv.__file__
    trio.run(receive)
    assert (find_spec("rich") is not None) == (arguments == ["--cli"])
    status, out, err = command("receive", "--help")
    assert (status, err) == (0, "")
    print("  received 5 bytes; the help says:", out.splitlines()[0], flush=True)
    if not arguments:
        status, out, err = command("doctor", "--json")
        assert (status, err) == (0, "")
        report = json.loads(out)
        assert report["versions"]["trio_wsarecv"] == trio_wsarecv.__version__
        print("  the doctor says:", report["verdict"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
