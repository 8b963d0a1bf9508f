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


def status(output: str) -> str:
    (found,) = re.findall(r"status: (\w+)", output)
    return str(found)


def answers(output: str) -> list[str]:
    return re.findall(r"^[\w.]+\t+\d+\tIN\tA\t(\S+)$", output, re.MULTILINE)


def flags(output: str) -> set[str]:
    (found,) = re.findall(r"^;; flags: ([\w ]+);", output, re.MULTILINE)
    return set(found.split())


MANY = [f"198.51.100.{number}" for number in range(100)]


@pytest.mark.parametrize("way", ["+notcp", "+tcp"])
@pytest.mark.parametrize("edns", ["+edns", "+noedns", "+dnssec"])
def test_a_name_is_answered(names: str, way: str, edns: str) -> None:
    output = ask(names, way, edns, "alpha.example")
    assert (status(output), answers(output)) == ("NOERROR", ["192.0.2.1"])
    assert flags(output) == {"qr", "aa", "rd"}
    assert ("EDNS: version: 0" in output) is (edns != "+noedns")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("BETA.Example", ("NOERROR", ["192.0.2.2"])),
        ("gamma.example", ("NXDOMAIN", [])),
        ("AAAA alpha.example", ("NOERROR", [])),
        ("+opcode=status alpha.example", ("NOTIMP", [])),
    ],
)
def test_a_question_has_its_status(names: str, question: str, expected: object) -> None:
    output = ask(names, *question.split())
    assert (status(output), answers(output)) == expected


@pytest.mark.parametrize("edns", ["+noedns", "+bufsize=512", "+bufsize=1232", "+bufsize=4096"])
def test_an_answer_that_does_not_fit_is_asked_for_again_over_tcp(names: str, edns: str) -> None:
    output = ask(names, "+ignore", edns, "many.example")
    assert (flags(output) >= {"tc"}, answers(output)) == (True, [])
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
