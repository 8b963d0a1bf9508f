"""Whole programs under ``python -m trio_wsarecv run``."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.programs import Program
from trio_wsarecv import Statistics

from .content import digest
from .received import check_received, on_windows

if TYPE_CHECKING:
    from .certificates import Certificates
    from .servers import Server

PROGRAMS = Path(__file__).parent / "programs"
MIB = 1 << 20


def check_run(name: str, *arguments: object, prints: str, nbytes: int, sockets: int) -> None:
    """See that a program prints this, and receives so many bytes on so many sockets."""
    program = Program("counted.py", "run", str(PROGRAMS / name), *map(str, arguments))
    program.end()
    assert (program.stdout, program.status) == (prints, 0), program.stderr
    *errors, counted = program.stderr.splitlines()
    assert errors == []
    statistics = ast.literal_eval(counted)
    check_received(asdict(Statistics()), statistics, nbytes)
    assert statistics["overlapped_sockets"] == (sockets if on_windows else 0)


def test_a_client_on_httpx(server: Server, certificates: Certificates) -> None:
    url = f"{server.urls['https']}/download?{8 * MIB}"
    expected = f"HTTP/2 {8 * MIB} {digest(8 * MIB)}\n"
    check_run(
        *("fetch.py", url, certificates.authority), prints=expected, nbytes=8 * MIB, sockets=1
    )


def test_a_program_that_runs_hypercorn_itself(certificates: Certificates) -> None:
    lengths = (1, 100_000)
    digests = {length: hashlib.sha256(bytes(length)).hexdigest() for length in lengths}
    lines = [f"{length} {digests[length]}\n" for length in lengths]
    check_run(
        *("serves_itself.py", certificates.server, certificates.authority),
        prints="".join([*lines, "served\n"]),
        nbytes=sum(lengths),
        sockets=2,
    )


def test_a_program_on_anyio(certificates: Certificates) -> None:
    check_run(
        *("anyio_echo.py", certificates.server, certificates.authority),
        prints="TCP 20 echoes\nTLS 20 echoes\n",
        nbytes=2 * 2 * 20 * 256_000,
        sockets=2 * 2 * 20,
    )
