"""The DNS servers of the documentation, asked by dig and dnsperf: here and in a Windows CPython."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import environment
from tools.children import SET_UP, WINDOWS_PYTHON, child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="for Debian's dig and dnsperf")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PYTHONS = {"native": (sys.executable,), "windows": WINDOWS_PYTHON}
PACKAGES = {"dig": ["bind9-dnsutils"], "dnsperf": ["dnsperf"]}
ASK = ("dig", "+time=10", "+tries=1")


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if sys.platform == "linux":
        from tools.wine.system import Problem, install_missing_packages

        try:
            install_missing_packages(PACKAGES)
        except Problem as problem:
            pytest.skip(str(problem))


@contextmanager
def serving(python: str, name: str) -> Iterator[str]:
    """Run an example, and give its port."""
    command = [*PYTHONS[python], str(EXAMPLES / f"{name}.py"), "0"]
    with child(command, SET_UP, env=environment(), stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        found = re.fullmatch(r"listening on port (\d+)\s*", server.stdout.readline())
        assert found
        yield found[1]


@pytest.fixture(scope="module", params=PYTHONS)
def names(request: pytest.FixtureRequest) -> Iterator[str]:
    """The port of ``names.py``, for all tests of it."""
    with serving(request.param, "names") as port:
        yield port


def ask(port: str, *arguments: str, host: str = "127.0.0.1") -> str:
    """Ask by dig, which checks the form and the sender of the answer."""
    command = [*ASK, f"@{host}", "-p", port, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def answers(output: str) -> list[str]:
    return re.findall(r"^[\w.]+\t+\d+\tIN\tA\t(\S+)$", output, re.MULTILINE)


MANY = [f"198.51.100.{number}" for number in range(100)]


@pytest.mark.parametrize(
    ("question", "status", "expected"),
    [
        *(
            (f"{way} {edns} alpha.example", "NOERROR", ["192.0.2.1"])
            for way in ("+notcp", "+tcp")
            for edns in ("+edns", "+noedns", "+dnssec")
        ),
        ("BETA.Example", "NOERROR", ["192.0.2.2"]),
        ("gamma.example", "NXDOMAIN", []),
        ("AAAA alpha.example", "NOERROR", []),
        ("+opcode=status alpha.example", "NOTIMP", []),
    ],
)
def test_a_question_is_answered(
    names: str, question: str, status: str, expected: list[str]
) -> None:
    output = ask(names, *question.split())
    assert f"status: {status}," in output
    assert "flags: qr aa rd;" in output
    assert answers(output) == expected
    assert ("EDNS: version: 0" in output) is ("+noedns" not in question)


@pytest.mark.parametrize("edns", ["+noedns", "+bufsize=512", "+bufsize=1232", "+bufsize=4096"])
def test_an_answer_that_does_not_fit_is_asked_for_again_over_tcp(names: str, edns: str) -> None:
    output = ask(names, "+ignore", edns, "many.example")
    assert "flags: qr aa tc rd;" in output
    assert answers(output) == []
    output = ask(names, edns, "many.example")
    assert "Truncated, retrying in TCP mode" in output
    assert answers(output) == MANY


def test_several_questions_share_a_tcp_connection(names: str) -> None:
    output = ask(names, "+tcp", "+keepopen", "alpha.example", "many.example", "beta.example")
    assert answers(output) == ["192.0.2.1", *MANY, "192.0.2.2"]


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["udp", "tcp"])
def test_no_query_of_many_is_lost(names: str, tmp_path: Path, way: str, seconds: int) -> None:
    queries = tmp_path / "queries"
    queries.write_text("alpha.example A\nbeta.example A\ngamma.example A\n")
    command = ["dnsperf", "-s", "127.0.0.1", "-p", names, "-d", str(queries), "-m", way]
    command += ["-c", "20", "-q", "50", "-l", str(seconds), "-t", "30"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    sent, completed, lost = (
        int(re.findall(rf"Queries {what}: +(\d+)", output)[0])
        for what in ("sent", "completed", "lost")
    )
    assert (completed, lost) == (sent, 0)
    assert sent > 100
    codes = dict(re.findall(r"(\w+) (\d+) \(", output))
    assert codes.keys() == {"NOERROR", "NXDOMAIN"}
    assert abs(int(codes["NOERROR"]) - 2 * int(codes["NXDOMAIN"])) <= 2


@pytest.mark.parametrize("python", PYTHONS)
def test_it_is_answered_from_the_address_that_was_asked(python: str) -> None:
    # Wine sends from any address of the interface, and dig refuses such an answer.
    hosts = ["127.0.0.1", "::1"]
    if python == "native":
        hosts += ["127.0.0.2", "127.77.77.77", "127.0.0.1"]
    with serving(python, "answer_from") as port:
        for host in hosts:
            output = ask(port, "TXT", "whoami.example", host=host)
            assert f'"you asked {host}"' in output
