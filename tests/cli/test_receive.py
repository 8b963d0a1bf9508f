"""``python -m trio_wsarecv receive``."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import trio_wsarecv
from tests.programs import Program, run_unread
from trio_wsarecv import WinsockError
from trio_wsarecv.__main__ import main
from trio_wsarecv._cli import receive
from trio_wsarecv._winsock.calls import winsock_error

from .conftest import Command, Result

CLOCK = MockClock()


@contextmanager
def serving(answer: bytes, *, asked: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection: receive a line, if asked, send the answer, close."""
    received: list[bytes] = []

    def serve() -> None:
        with listener:  # closed then, so that nobody connects and waits if this fails
            connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            if asked:
                received.append(lines.readline())
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(40)  # a program may take long to start
        port = listener.getsockname()[1]
        server = threading.Thread(target=serve)
        server.start()
        yield str(port), received
        server.join()


def receive_from(command: Command, answer: bytes, *options: str) -> Result:
    """Receive from a server; the port of it is PORT in the result."""
    with serving(answer) as (port, _):
        status, out, err = command("receive", "127.0.0.1", port, *options)
    return Result(status, out, err.replace(f" port {port}:", " port PORT:"))


def ending(result: Result) -> tuple[int, str]:
    """Return what a report says of the bytes and the end."""
    return result.report["bytes"], result.report["ended"]


def test_it_sends_a_text_writes_a_file_and_reports(tmp_path: Path, command: Command) -> None:
    content = bytes(range(256)) * 5000
    output = tmp_path / "output"
    with serving(content, asked=True) as (port, received):
        options = ("--send", "hello\\r\\n", "--output", str(output), "--json")
        result = command("receive", "127.0.0.1", port, *options)
    assert (result.status, result.err) == (0, "")
    assert received == [b"hello\r\n"]
    assert output.read_bytes() == content
    report = result.report
    assert ending(result) == (len(content), "closed")
    assert report["receives"] == report["immediate"] + report["pended"] > 1
    assert report["error"] is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"", "0 bytes in TIME s, 1 receive: "), (b"1", "1 byte in TIME s, 2 receives: ")],
)
def test_it_writes_a_file_and_reports_in_words(
    answer: bytes, words: str, tmp_path: Path, command: Command
) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"old content")
    result = receive_from(command, answer, "--output", str(output))
    assert (result.status, result.out) == (0, "")
    line = re.sub(r"\d+\.\d{3} s", "TIME s", result.line)
    assert re.fullmatch(rf"{words}\d immediate, \d after waiting; closed", line)
    assert output.read_bytes() == answer


def test_the_standard_output_has_only_the_data() -> None:
    with serving(b"12345") as (port, _):
        arguments = ["receive", "127.0.0.1", port, "--output", "-", "--json"]
        program = Program("-m", "trio_wsarecv", *arguments)
        program.end()
    assert (program.status, program.stdout) == (0, "12345")
    assert json.loads(program.stderr)["bytes"] == 5


@pytest.mark.parametrize(("has_rich", "terminal"), [(True, True), (True, False), (False, True)])
def test_progress_is_shown_on_a_terminal_if_rich_is_installed(
    has_rich: bool, terminal: bool, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich", None)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    result = receive_from(command, b"12345")
    assert result.status == 0
    if has_rich and terminal:
        assert "5 bytes in " in result.err
        assert re.search(r"5 bytes(?! in )", result.err)
        assert "/?" not in result.err  # for the total is unknown
    else:
        assert result.line.startswith("5 bytes in ")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_a_refused_connection_is_reported_in_one_line(options: list[str], command: Command) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        result = command("receive", "127.0.0.1", str(port), *options)
    assert result.status == 1
    assert result.line.startswith(f"Error: 127.0.0.1 port {port}: ")
    assert "refused" in result.line
    if options:
        assert ending(result) == (0, "not connected")
        assert result.line == f"Error: {result.report['error']}"


def test_an_error_of_the_standard_output_is_reported_in_one_line() -> None:
    with serving(b"12345", asked=True) as (port, _):
        arguments = ["receive", "127.0.0.1", port, "--send", "\\n", "--output", "-"]
        status, (report, line) = run_unread(*arguments)
    assert status == 1
    assert report.endswith("; broken")
    assert line.startswith("Error: Could not write to file '<stdout>': ")


@pytest.mark.parametrize(
    "output",
    [
        os.curdir,  # a folder
        pytest.param(
            "/dev/full",
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device"),
        ),
    ],
)
def test_an_error_of_the_file_is_reported_in_one_line(output: str, command: Command) -> None:
    result = receive_from(command, b"12345", "--output", output)
    assert result.status == 1
    _, line = result.err.splitlines()
    assert line.startswith(f"Error: Could not write to file {output!r}: ")


async def reset() -> int:
    raise trio.BrokenResourceError from winsock_error(WinsockError.WSAECONNRESET)


async def interrupt() -> int:
    signal.raise_signal(signal.SIGINT)
    raise AssertionError("unreachable")


async def expire() -> int:
    CLOCK.jump(100)
    return await trio.sleep_forever()


@pytest.mark.parametrize(
    ("end", "status", "ended"),
    [(reset, 1, "broken"), (interrupt, 130, "interrupted"), (expire, 1, "timed out")],
)
def test_what_came_before_an_early_end_is_reported(
    end: Callable[[], Awaitable[int]],
    status: int,
    ended: str,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
) -> None:
    receive_into = trio_wsarecv.SocketStream.receive_into

    async def receive_until(stream: trio_wsarecv.SocketStream, buffer: bytearray) -> int:
        CLOCK.jump(1)
        return await receive_into(stream, buffer) or await end()

    monkeypatch.setattr(trio, "run", partial(trio.run, clock=CLOCK))
    monkeypatch.setattr(trio_wsarecv.SocketStream, "receive_into", receive_until)
    result = receive_from(command, b"12345", "--json", "--timeout", "101.5")
    assert (result.status, ending(result)) == (status, (5, ended))
    assert result.report["seconds"] > 0
    if end is reset:
        assert result.line.startswith("Error: 127.0.0.1 port PORT: ")


def test_an_interrupt_while_it_connects_is_reported(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    async def connect(*_: object) -> None:
        async with trio.open_nursery() as nursery:  # as Trio's own does
            nursery.start_soon(trio.sleep_forever)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(receive, "open_tcp_stream", connect)
    result = command("receive", "127.0.0.1", "1")
    assert result.status == 130
    assert result.line.startswith("0 bytes in 0.000 s, 0 receives")
    assert result.line.endswith("; interrupted")


def test_an_unexpected_exception_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(receive, "open_tcp_stream", connect)
    with pytest.raises(ZeroDivisionError):
        main(["receive", "127.0.0.1", "1"])
