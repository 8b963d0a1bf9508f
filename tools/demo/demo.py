"""Shows what this project is for: `nox -s demo`.

A Windows Python receives a large file from an HTTP server: first in an ordinary Trio program, under
``python -m trio_wsarecv run``, then by `SocketStream.receive_into`.  Then a receive is cancelled.
All numbers are measured; the exit status is 1 if one is wrong.
"""

from __future__ import annotations

import hashlib
import json
import platform
import random
import socketserver
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.children import SET_UP, WINDOWS_PYTHON, child, end_on_termination
from trio_wsarecv import WinsockError

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
SIZE = 128 * MIB
STATUS_CANCELLED = 0xC0000120
DEADLINE = 90.0
HERE = Path(__file__).resolve().parent

DOWNLOADS = {
    "1. An ordinary Trio program, unmodified": ("trio_wsarecv", "run", "download.py"),
    "2. SocketStream.receive_into, one buffer of 256 KiB": ("tools.demo.receive_into",),
}

wrong: list[str] = []


def show(text: str, right: bool) -> None:
    """Print what was measured."""
    print("   " if right else "   WRONG: ", text, sep="")
    if not right:
        wrong.append(text)


def measure(*args: str, deadline: float = DEADLINE) -> dict[str, Any]:
    """Run a module on Windows; return its report, with the statistics of the package."""
    command = [*WINDOWS_PYTHON, "measured.py", *args]
    with child(command, deadline, cwd=HERE, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{' '.join(args)} ended with status {process.returncode}\n{output}")
    report: dict[str, Any] = {}
    for line in output.splitlines():
        report |= json.loads(line)
    return report


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


@contextmanager
def serving(handler: Any) -> Iterator[tuple[str, int]]:
    """Serve in threads of this process; gives the address."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.socket.getsockname()
        yield host, port
        server.shutdown()


def download(url: str, received: Path, program: tuple[str, ...], expected: str) -> None:
    report = measure(*program, url, str(received))
    size, seconds = report["written"], report["seconds"]
    digest = hashlib.sha256(received.read_bytes()).hexdigest()
    receives = report["immediate"] + report["pended"]
    show(
        f"{size} bytes in {seconds:.2f} s, written to a file: {size / MIB / seconds:.0f} MiB/s",
        size == SIZE <= report["bytes"],
    )
    show(f"SHA-256 {digest}", digest == expected)
    show(
        f"{receives} receives by overlapped WSARecv, of which {report['immediate']} completed "
        f"inline and {report['pended']} waited; {report['readiness']} by readiness",
        report["overlapped"] >= 0.99 * receives,
    )
    sockets = report["overlapped_sockets"], report["readiness_sockets"]
    show("{} socket with overlapped receives, {} without".format(*sockets), sockets == (1, 0))


def cancel(host: str, port: int) -> None:
    report = measure("tools.demo.cancelled", host, str(port))
    status, code = report["status"], report["code"]
    name = next((error.name for error in WinsockError if error == code), "unknown")
    counts = report["pended_first"], report["cancelled"]
    show("receives that waited: {}; cancelled by CancelIoEx: {}".format(*counts), counts == (1, 1))
    show(f"after {report['seconds']:.2f} s, caught by the cancel scope", report["caught"])
    show(f"OVERLAPPED.Internal {status:#x}", status == STATUS_CANCELLED)
    right = code == WinsockError.WSA_OPERATION_ABORTED
    show(f"WSAGetOverlappedResult {code} ({name})", right)
    show("the next receive on the connection got its data", report["next"])


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    end_on_termination()
    receiver = measure(deadline=SET_UP)["python"]
    data = random.Random(0).randbytes(SIZE)
    digest = hashlib.sha256(data).hexdigest()
    print(f"File:     {SIZE} random bytes\n          SHA-256 {digest}")
    print(f"Server:   http.server of Python {platform.python_version()} on {platform.system()}")
    print(f"Receiver: {receiver}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder, "file").write_bytes(data)
        with serving(partial(Files, directory=folder)) as (host, port):
            url = f"http://{host}:{port}/file"
            for title, program in DOWNLOADS.items():
                print(f"\n{title}\n   python -m {' '.join(program)} {url} FILE")
                download(url, Path(folder, "received"), program, digest)
    with serving(Echo) as (host, port):
        print("\n3. A receive that trio.move_on_after cancels, because nothing arrives")
        print(f"   python -m tools.demo.cancelled {host} {port}")
        cancel(host, port)
    if wrong:
        print("\nWRONG:", *wrong, sep="\n  ")
        return 1
    print("\nAll as expected.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
