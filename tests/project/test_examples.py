"""The programs that the documentation shows or names, run as a reader would run them."""

from __future__ import annotations

import re
import runpy
import socket
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import pytest
import trio

import trio_wsarecv
from tests.peers import Counted
from tests.programs import Program, start
from tests.receiving import on_windows
from tools.children import child
from tools.windows import WINE

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "docs" / "examples"
SCRIPTS = REPOSITORY / "tools" / "windows"

PRINTED = {
    "echo": "b'hello'\n",
    "tls": "b'hello'\n",
    "messages": "b'still there?'\nb'HELLO'\n",
    "tls_messages": "hello\ngoodbye\n",
    "lines": "HELLO\r\nGOODBYE\r\n",
    "shout": "b'HELLO'\nb'TOO LONG'\n",
    "names": "alpha.example 192.0.2.1\nbeta.example 192.0.2.2\ngamma.example no such name\n",
    "packets": "client-1 32 packets acknowledged\nclient-2 32 packets acknowledged\n",
}


@pytest.mark.deadline(20)
@pytest.mark.parametrize("name", PRINTED)
async def test_an_example_prints_what_the_tutorial_shows(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = Counted()
    await runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()
    assert capsys.readouterr().out == PRINTED[name]
    if on_windows or name != "lines":  # which uses Trio's own names
        assert counted.bytes > 0
    if on_windows:
        assert counted.overlapped_sockets > 0
        assert counted.readiness_sockets == 0


def test_a_guest_run_of_asyncio_receives_overlapped() -> None:
    program = Program(str(EXAMPLES / "guest.py"))
    program.end()
    sockets = 2 if on_windows else 0
    assert program.stdout == f"b'HELLO' {sockets} overlapped sockets\n", program.stderr
    assert program.status == 0


def test_all_cores_share_one_listening_socket() -> None:
    workers: Counter[bytes] = Counter()
    with start(str(EXAMPLES / "all_cores.py"), "0", "2") as server, ExitStack() as clients:
        assert server.stdout
        port = int(server.stdout.readline().removeprefix(b"listening on port "))
        while workers.total() < 10 or len(workers) < 2:
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
            clients.enter_context(client)
            line = re.fullmatch(rb"worker (\d+) serves a connection\s+", server.stdout.readline())
            assert line
            workers[line[1]] += 1
            client.sendall(b"question")
            assert client.recv(100) == b"question"
        output, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, b"")
    engine = b"overlapped" if on_windows else b"readiness"
    counts = rb"worker (\d+) ends: Statistics\(.*\b%b_sockets=(\d+)\b.*\)"
    ends = [re.fullmatch(counts % engine, line) for line in output.splitlines()]
    assert {end[1]: int(end[2]) for end in ends if end} == workers
    assert all(ends)


@pytest.mark.skipif(sys.platform not in ("win32", "linux"), reason="other values of the options")
@pytest.mark.parametrize(
    ("family", "hosts"),
    [
        (socket.AF_INET, ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.7.7.7")),
        (socket.AF_INET6, ("::1",)),
    ],
)
async def test_the_example_answers_from_the_address_that_was_asked(
    family: socket.AddressFamily, hosts: tuple[str, ...]
) -> None:
    query = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6whoami\0\0\x10\0\1"
    # None of these has an answer, and none of them ends the server.
    invalid = (b"", b"hello", query[:20], b"\0\0\x80" + query[3:], bytes(60_000))
    client = trio_wsarecv.from_stdlib_socket(socket.socket(family, socket.SOCK_DGRAM))
    with (
        client,
        child([sys.executable, str(EXAMPLES / "answer_from.py")], 60, stdout=PIPE) as program,
    ):
        assert program.stdout is not None
        port = int((await trio.to_thread.run_sync(program.stdout.readline)).split()[-1])
        await client.bind(("", 0))
        for host in hosts:
            for data in (*invalid, query):
                await client.sendto(data, (host, port))
            answer, address = await client.recvfrom(100)
            assert answer.startswith(query[:2])
            assert answer.endswith(f"you asked {host}".encode())
            if not WINE:  # whose sockets send from any address of their interface
                assert address[:2] == (host, port)


def output_of(script: str, *arguments: str) -> list[str]:
    program = Program("-X", "utf8", str(SCRIPTS / script), *arguments)
    program.end()
    assert (program.status, program.stderr) == (0, "")
    return program.stdout.splitlines()


@pytest.mark.windows
@pytest.mark.slow
def test_the_scripts_for_real_windows_answer_every_question_and_measure_every_way() -> None:
    lines = output_of("answers.py")
    asked = [line for line in lines if re.match(r"[ !] \S", line)]
    assert len(asked) == len([line for line in lines if "seen" in line]) == 11
    if WINE:  # which sends no ancillary data
        assert {line for line in asked if line.startswith("!")} <= {"! IP_PKTINFO", "! IP_ECN"}
    header, *rows = output_of("posted.py", "5", "1")
    assert header.startswith("subject\t")
    assert len(rows) == 17


def test_every_question_of_the_script_is_in_the_limitations() -> None:
    limitations = (REPOSITORY / "docs" / "limitations.rst").read_text(encoding="utf-8")
    questions = re.findall(r'^    \("([^":]+)', (SCRIPTS / "answers.py").read_text("utf-8"), re.M)
    assert len(questions) == 11
    for question in questions:
        assert re.search(rf"^   \* - {question}$", limitations, re.MULTILINE), question
