"""Whole programs: under ``python -m trio_wsarecv run``, and the recipes of the documentation."""

from __future__ import annotations

import ast
import hashlib
import re
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.programs import Program
from trio_wsarecv import Statistics

from .application import digest
from .certificates import Certificates
from .servers import Server, check_received, connect, on_windows, serving

PROGRAMS = Path(__file__).parent / "programs"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
MIB = 1 << 20
UPLOADS = (1, 100_000)  # bytes


@pytest.mark.parametrize(
    ("name", "prints", "nbytes", "sockets"),
    [
        (
            "serves_itself.py",
            [*(f"{n} {hashlib.sha256(bytes(n)).hexdigest()}" for n in UPLOADS), "served"],
            sum(UPLOADS),
            2,
        ),
        ("anyio_echo.py", ["TCP 20 echoes", "TLS 20 echoes"], 2 * 2 * 20 * 256_000, 2 * 2 * 20),
    ],
)
def test_an_unmodified_program_receives_overlapped(
    certificates: Certificates, name: str, prints: list[str], nbytes: int, sockets: int
) -> None:
    files = map(str, (PROGRAMS / name, certificates.server, certificates.authority))
    program = Program("counted.py", "run", *files)
    program.end()
    assert (program.stdout.splitlines(), program.status) == (prints, 0), program.stderr
    *errors, counted = program.stderr.splitlines()
    assert errors == []
    statistics = ast.literal_eval(counted)
    check_received(asdict(Statistics()), statistics, nbytes)
    assert statistics["overlapped_sockets"] == (sockets if on_windows else 0)


@pytest.mark.deadline(50)  # FastAPI takes its time to be imported
async def test_fastapi_on_hypercorn_with_metrics_for_prometheus() -> None:
    content = bytes(MIB)
    with serving("--workers=0", application="docs.examples.web:app") as server:
        async with connect(server.urls["http"]) as client:
            answer = (await client.post("/upload", content=content)).json()
            metrics = (await client.get("/metrics")).text
    assert answer == {"bytes": MIB, "sha256": hashlib.sha256(content).hexdigest()}
    counts = {
        name: float(count)
        for name, count in re.findall(r"^trio_wsarecv_(\w+)_total (\S+)$", metrics, re.MULTILINE)
    }
    assert counts["overlapped_sockets"] == (1 if on_windows else 0)
    assert counts["readiness_sockets"] == 0
    assert counts["bytes"] >= (MIB if on_windows else 0)


def test_a_download_with_httpx(
    server: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    program = Program(str(EXAMPLES / "fetch.py"), f"{server.urls['https']}/download?{MIB}")
    program.end()
    expected = f"HTTP/2 {MIB} {digest(MIB)}\n"
    assert (program.stdout, program.stderr, program.status) == (expected, "", 0)


@pytest.mark.windows
def test_a_windows_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    program = Program(str(PROGRAMS / "runs_service.py"), str(port))
    program.end()
    *_, answer, engine = program.stdout.splitlines()
    assert (answer, engine, program.status) == ("b'hello'", "1 overlapped", 0), program.stderr
