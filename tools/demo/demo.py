"""Shows what this project is for: `nox -s demo`.

A Windows Python receives a large file from an HTTP server: first in an ordinary Trio program, under
``python -m trio_wsarecv run``, then by `SocketStream.receive_into`.  Then a receive is cancelled.
All numbers are measured; the exit status is 1 if one is wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socketserver
import subprocess
import sys
import sysconfig
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

DOWNLOADS = (
    ("1. An ordinary Trio program, unmodified", ("trio_wsarecv", "run", "download.py")),
    ("2. SocketStream.receive_into, one buffer of 256 KiB", ("tools.demo.receive_into",)),
)
CANCELLED = "3. A receive that trio.move_on_after cancels, because nothing arrives"

lines: list[str] = []  # what was measured
wrong: list[str] = []  # what of it is wrong


class Problem(Exception):
    """The demonstration cannot continue."""


def expect(what: str, value: object, expected: object) -> None:
    if value != expected:
        wrong.append(f"{what}: {value}, not {expected}")


def measure(*args: str, deadline: float = DEADLINE) -> dict[str, Any]:
    """Run a module on Windows; return its report, with the statistics of the package."""
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if sys.stderr.isatty():
        environ["COLUMNS"] = str(min(shutil.get_terminal_size().columns, 80) - 1)
    command = [*WINDOWS_PYTHON, "measured.py", *args]
    with child(command, deadline, cwd=HERE, env=environ, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    if process.returncode != 0:
        raise Problem(f"{' '.join(args)} ended with status {process.returncode}\n{output}")
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


def write_sources(path: Path) -> None:
    """Write the sources of the standard library into a file, again and again."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    with path.open("wb") as file:
        while file.tell() < SIZE:
            for module in modules:
                file.write(f"# {module.name}\n".encode() + module.read_bytes())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def demonstrate(folder: Path) -> None:
    receiver = measure(deadline=SET_UP)["python"]
    source, received = folder / "sources", folder / "received"
    write_sources(source)
    size, digest = source.stat().st_size, sha256(source)
    print(f"File:     {size} bytes of the standard library's sources")
    print(f"          SHA-256 {digest}")
    with serving(partial(Files, directory=folder)) as (host, port):
        url = f"http://{host}:{port}/sources"
        print(f"Server:   http.server of Python {platform.python_version()} on {platform.system()}")
        print(f"Receiver: {receiver}")
        for title, program in DOWNLOADS:
            print(f"\n{title}\n   python -m {' '.join(program)} {url} FILE")
            judge_download(title, measure(*program, url, str(received)), sha256(received), digest)
    with serving(Echo) as (host, port):
        print(f"\n{CANCELLED}\n   python -m tools.demo.cancelled {host} {port}")
        judge_cancelled(measure("tools.demo.cancelled", host, str(port)))


def judge_download(title: str, report: dict[str, Any], digest: str, expected: str) -> None:
    size, seconds = report["written"], report["seconds"]
    receives = report["immediate"] + report["pended"]
    overlapped = min(report["overlapped"], receives)
    lines.extend(
        (
            f"{title}:",
            f"   {size} bytes in {seconds:.2f} s, written to a file: "
            f"{size / MIB / seconds:.0f} MiB/s",
            f"   SHA-256 {digest}, {'as' if digest == expected else 'NOT as'} the file's",
            f"   {receives} receives: {overlapped} by overlapped WSARecv, of which "
            f"{report['immediate']} completed inline and {report['pended']} waited",
        )
    )
    expect(f"{title}: SHA-256", digest, expected)
    expect(f"{title}: sockets with overlapped receives", report["overlapped_sockets"], 1)
    expect(f"{title}: sockets without", report["readiness_sockets"], 0)
    expect(f"{title}: at least 99 % of them overlapped", overlapped / receives >= 0.99, True)
    expect(f"{title}: all bytes counted", report["bytes"] >= size, True)


def judge_cancelled(report: dict[str, Any]) -> None:
    status, code = report["status"], report["code"]
    name = next((error.name for error in WinsockError if error == code), "unknown")
    lines.extend(
        (
            f"{CANCELLED}:",
            f"   receives that pended: {report['pended_first']}; cancelled by CancelIoEx: "
            f"{report['cancelled']}, after {report['seconds']:.2f} s",
            f"   OVERLAPPED.Internal {status:#x}, WSAGetOverlappedResult {code} ({name})",
            f"   caught by the cancel scope: {report['caught']}; the next receive on the "
            f"connection {'got' if report['next'] else 'did NOT get'} its data",
        )
    )
    expect("receives that pended", report["pended_first"], 1)
    expect("receives that were cancelled", report["cancelled"], 1)
    expect("status of the OVERLAPPED", status, STATUS_CANCELLED)
    expect("WSAGetOverlappedResult", code, WinsockError.WSA_OPERATION_ABORTED)
    expect("caught by the cancel scope", report["caught"], True)
    expect("the next receive got its data", report["next"], True)


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    end_on_termination()
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            demonstrate(Path(folder))
    except Problem as problem:
        print(f"\nThe demonstration failed: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    print("\nMeasured:", *lines, sep="\n")
    if wrong:
        print("\nWRONG:", *wrong, sep="\n  ")
        return 1
    print("\nAll as expected.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
