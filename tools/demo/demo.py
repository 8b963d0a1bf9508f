"""Shows what this project is for: `nox -s demo`.

A Windows Python receives a large file from a real HTTP server: first in an ordinary Trio program,
under ``python -m trio_wsarecv run``, then by `SocketStream.receive_into`.  Then a receive is
cancelled.  All numbers are measured; the exit status is 1 if one is wrong.

``--spoil`` changes one bit of the file after its hash was taken, to see that this is noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.children import SET_UP, WINDOWS_PYTHON, child, end_on_termination
from trio_wsarecv import WinsockError

from .served import Problem, echo_server, http_server, write_sources

MIB = 1 << 20
SIZE = 128 * MIB
STATUS_CANCELLED = 0xC0000120
DEADLINE = 90.0
HERE = Path(__file__).resolve().parent

DOWNLOADS = (
    ("An ordinary Trio program, unmodified", ("-m", "trio_wsarecv", "run", "download.py")),
    ("SocketStream.receive_into, one buffer of 256 KiB", ("receive_into.py",)),
)


class Findings:
    """What was measured, and what of it is wrong."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.wrong: list[str] = []

    def expect(self, what: str, value: object, expected: object) -> None:
        if value != expected:
            self.wrong.append(f"{what}: {value}, not {expected}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--spoil", action="store_true", help="change the file after hashing it")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    end_on_termination()
    findings = Findings()
    try:
        receiver = str(measure(deadline=SET_UP)["python"])
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            demonstrate(Path(folder), receiver, findings, spoiling=options.spoil)
    except Problem as problem:
        print(f"\nThe demonstration failed: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    print("\nMeasured:", *findings.lines, sep="\n")
    if findings.wrong:
        print("\nWRONG:", *findings.wrong, sep="\n  ")
        return 1
    print("\nAll as expected.")
    return 0


def measure(*args: str, deadline: float = DEADLINE) -> dict[str, Any]:
    """Run a program on Windows; return its report, with the statistics of the package."""
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if sys.stderr.isatty():
        environ["COLUMNS"] = str(min(shutil.get_terminal_size().columns, 80) - 1)
    command = [*WINDOWS_PYTHON, "measured.py", *args]
    with child(command, deadline, cwd=HERE, env=environ, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    report: dict[str, Any] = {}
    try:
        for line in output.splitlines():
            report |= json.loads(line)
    except ValueError:
        raise Problem(f"{' '.join(args)} printed\n{output}") from None
    if process.returncode != 0:
        raise Problem(f"{' '.join(args)} ended with status {process.returncode}")
    return report


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spoil(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def demonstrate(folder: Path, receiver: str, findings: Findings, *, spoiling: bool) -> None:
    source = folder / "sources"
    write_sources(source, SIZE)
    digest = sha256(source)
    print(f"File:     {source.stat().st_size} bytes of the standard library's sources")
    print(f"          SHA-256 {digest}")
    if spoiling:
        spoil(source)
    with http_server(folder) as url:
        print(f"Server:   python -m http.server at {url}, Python {platform.python_version()}")
        print(f"          on {platform.system()}, in a process of its own")
        print(f"Receiver: {receiver}")
        for number, (title, program) in enumerate(DOWNLOADS, 1):
            received = folder / f"received-{number}"
            print(f"\n{number}. {title}\n   python {' '.join(program)} {url}/sources FILE")
            report = measure(*program, f"{url}/sources", str(received))
            judge_download(f"{number}. {title}", report, received, digest, findings)
            received.unlink()
    with echo_server() as (host, port):
        title = "3. A receive that trio.move_on_after cancels, because nothing arrives"
        print(f"\n{title}\n   python cancelled.py {host} {port}")
        judge_cancelled(title, measure("cancelled.py", host, str(port)), findings)


def judge_download(
    title: str, report: dict[str, Any], received: Path, digest: str, findings: Findings
) -> None:
    size, same = received.stat().st_size, sha256(received)
    receives = report["immediate"] + report["pended"]
    overlapped = min(report["overlapped"], receives)
    findings.lines += (
        f"{title}:",
        f"   {size} bytes in {report['seconds']:.2f} s, written to a file: "
        f"{size / MIB / report['seconds']:.0f} MiB/s",
        f"   SHA-256 {same}, {'as' if same == digest else 'NOT as'} the file's",
        f"   {receives} receives: {overlapped} by overlapped WSARecv, of which "
        f"{report['immediate']} completed inline and {report['pended']} waited",
    )
    findings.expect(f"{title}: SHA-256", same, digest)
    findings.expect(f"{title}: sockets with overlapped receives", report["overlapped_sockets"], 1)
    findings.expect(f"{title}: sockets without", report["readiness_sockets"], 0)
    share = overlapped / receives
    findings.expect(f"{title}: at least 99 % of them overlapped", share >= 0.99, True)
    findings.expect(f"{title}: all bytes counted", report["bytes"] >= size, True)


def judge_cancelled(title: str, report: dict[str, Any], findings: Findings) -> None:
    status, code = report["status"], report["code"]
    name = next((error.name for error in WinsockError if error == code), "unknown")
    findings.lines += (
        f"{title}:",
        f"   receives that pended: {report['pended_first']}; cancelled by CancelIoEx: "
        f"{report['cancelled']}, after {report['seconds']:.2f} s",
        f"   OVERLAPPED.Internal {status:#x}, WSAGetOverlappedResult {code} ({name})",
        f"   in the program: {report['exception']}; the next receive on the connection "
        f"{'got' if report['next'] else 'did NOT get'} its data",
    )
    for what, value, expected in (
        ("receives that pended", report["pended_first"], 1),
        ("receives that were cancelled", report["cancelled"], 1),
        ("status of the OVERLAPPED", status, STATUS_CANCELLED),
        ("WSAGetOverlappedResult", code, WinsockError.WSA_OPERATION_ABORTED),
        ("exception", report["exception"], "trio.Cancelled"),
        ("caught by the cancel scope", report["caught"], True),
        ("the next receive got its data", report["next"], True),
    ):
        findings.expect(f"{title}: {what}", value, expected)


if __name__ == "__main__":
    sys.exit(main())
