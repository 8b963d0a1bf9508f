"""Shows what this project is for: `nox -s demo`.

A large file, served by a real HTTP server, is received in a Windows Python: by an ordinary Trio
program under ``python -m trio_wsarecv run``, then by `SocketStream.receive_into`.  Then a receive
is cancelled.  All numbers are measured; the exit status is 1 if anything is not as it should be.

With ``--spoil``, one bit of the file is changed after its hash was taken, to see that noticed.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.children import end_on_termination
from trio_wsarecv import WinsockError

from .measure import Problem, measure, set_up
from .servers import http_server, silent_server
from .sources import sha256, spoil, write_sources

MIB = 1 << 20
SIZE = 128 * MIB

STATUS_CANCELLED = 0xC0000120

DOWNLOADS = (
    ("An ordinary Trio program, unmodified", ("-m", "trio_wsarecv", "run", "download.py")),
    ("SocketStream.receive_into, one buffer of 256 KiB", ("receive_into.py",)),
)


class Findings:
    """What was measured, and what of it is not as it should be."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.wrong: list[str] = []

    def expect(self, what: str, value: object, expected: object) -> None:
        if value != expected:
            self.wrong.append(f"{what}: {value}, not {expected}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--spoil", action="store_true", help="change the file behind our back")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    end_on_termination()
    findings = Findings()
    try:
        receiver = set_up()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            demonstrate(Path(folder), receiver, findings, spoiling=options.spoil)
    except Problem as problem:
        print(f"\nThe demonstration failed: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    print("\nMeasured:", *findings.lines, sep="\n")
    if findings.wrong:
        print("\nNOT as it should be:", *findings.wrong, sep="\n  ")
        return 1
    print("\nAll of it is as it should be.")
    return 0


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
    with silent_server() as (host, port):
        title = "3. A receive that trio.move_on_after cancels, for the server says nothing"
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
