"""The programs that the documentation shows, run as a reader would run them."""

from __future__ import annotations

import re
import runpy
import socket
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import pytest
import trio
from tricycle import TextReceiveStream

import trio_wsarecv
from tests.peers import Counted
from tests.programs import Program, environment
from tests.receiving import on_windows
from tools.children import child
from tools.windows import WINE

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

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


@pytest.mark.deadline(50)
async def test_all_cores_share_one_listening_socket() -> None:
    program = [sys.executable, str(EXAMPLES / "all_cores.py"), "0", "2"]
    # Pipes, not files: under Wine, CPython cannot start with a file as standard stream.
    pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "stderr": STDOUT}
    workers: list[str] = []
    async with AsyncExitStack() as clients, trio.open_nursery() as nursery:
        run = partial(trio.run_process, program, env=environment(), **pipes)
        server: trio.Process = await nursery.start(run)  # which checks that it ends with status 0
        assert server.stdin
        assert server.stdout
        output = TextReceiveStream(server.stdout, encoding="utf-8", newline=None)

        async def next_line(pattern: str) -> str:
            line = await output.receive_line()
            match = re.fullmatch(pattern, line.strip())
            assert match, line
            return match[1]

        port = int(await next_line(r"listening on port (\d+)"))
        while len(workers) < 10 or len(set(workers)) < 2:
            client = await trio.open_tcp_stream("127.0.0.1", port)
            await clients.enter_async_context(client)
            workers.append(await next_line(r"worker (\d+) serves a connection"))
            question = b"question %d" % len(workers)
            await client.send_all(question)
            answer = b""
            while len(answer) < len(question):
                answer += await client.receive_some()
            assert answer == question

        await server.stdin.aclose()
        engine = "overlapped" if on_windows else "readiness"
        counts = rf"worker (\d+) ends: Statistics\(.*\b{engine}_sockets=(\d+)\b.*\)"
        ends = [re.fullmatch(counts, line.strip()) async for line in output]
    assert all(ends)
    assert {end[1]: int(end[2]) for end in ends if end} == {
        worker: workers.count(worker) for worker in workers
    }


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
