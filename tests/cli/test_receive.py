"""``python -m trio_wsarecv receive``."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trio_wsarecv
from tests.programs import run_unread
from trio_wsarecv import WinsockError
from trio_wsarecv.__main__ import main
from trio_wsarecv._cli import receive
from trio_wsarecv._winsock.calls import winsock_error

from .conftest import Command, Result, status_of


@contextmanager
def serving(
    answer: bytes, *, asked: bool = False, before_end: Callable[[], object] = lambda: None
) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection: receive a line, if asked, send the answer, close."""
    received: list[bytes] = []

    def serve() -> None:
        with listener:  # closed then, so that nobody connects and waits if this fails
            connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            if asked:
                received.append(lines.readline())
            connection.sendall(answer)
            before_end()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(40)  # a program may take long to start
        port = listener.getsockname()[1]
        server = threading.Thread(target=serve)
        server.start()
        yield port, received
        server.join()


def receive_from(command: Command, answer: bytes, *options: str, **serve: Any) -> Result:
    """Receive from a server; the port of it is PORT in the result."""
    with serving(answer, **serve) as (port, _):
        status, out, err = command("receive", "127.0.0.1", str(port), *options)
    return Result(status, out, err.replace(f" port {port}:", " port PORT:"))


def ending(result: Result) -> tuple[int, str]:
    """Return what a report says of the bytes and the end."""
    return result.report["bytes"], result.report["ended"]


def test_it_sends_a_text_writes_a_file_and_reports(tmp_path: Path, command: Command) -> None:
    content = bytes(range(256)) * 5000
    output = tmp_path / "output"
    with serving(content, asked=True) as (port, received):
        options = ("--send", "hello\\r\\n", "--output", str(output), "--json")
        result = command("receive", "127.0.0.1", str(port), *options)
    assert (result.status, result.err) == (0, "")
    assert received == [b"hello\r\n"]
    assert output.read_bytes() == content
    report = result.report
    assert report["bytes"] == len(content)
    assert report["receives"] == report["immediate"] + report["pended"] > 1
    assert (report["ended"], report["error"]) == ("closed", None)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ((1, 1, 1, 0), "1 byte in 0.250 s, 1 receive: 1 immediate, 0 after waiting; closed"),
        ((0, 2, 0, 2), "0 bytes in 0.250 s, 2 receives: 0 immediate, 2 after waiting; closed"),
    ],
)
def test_it_counts_in_the_singular_and_the_plural(report: tuple[int, ...], words: str) -> None:
    counts = dict(zip(("bytes", "receives", "immediate", "pended"), report, strict=True))
    assert receive._in_words({**counts, "seconds": 0.25, "ended": "closed"}) == words


def test_the_standard_output_has_only_the_data(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with serving(b"12345") as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--output", "-", "--json") == 0
    captured = capfdbinary.readouterr()
    assert captured.out == b"12345"
    assert json.loads(captured.err)["bytes"] == 5


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


def test_what_came_before_a_reset_is_reported(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    receive_into = trio_wsarecv.SocketStream.receive_into

    async def receive_until_reset(stream: trio_wsarecv.SocketStream, buffer: bytearray) -> int:
        if nbytes := await receive_into(stream, buffer):
            return nbytes
        raise trio.BrokenResourceError from winsock_error(WinsockError.WSAECONNRESET)

    monkeypatch.setattr(trio_wsarecv.SocketStream, "receive_into", receive_until_reset)
    result = receive_from(command, b"12345", "--json")
    assert (result.status, ending(result)) == (1, (5, "broken"))
    assert result.line.startswith("Error: 127.0.0.1 port PORT: ")


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


def test_a_file_is_written_even_if_there_is_no_data(tmp_path: Path, command: Command) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"old content")
    assert receive_from(command, b"", "--output", str(output)).status == 0
    assert output.read_bytes() == b""


def test_an_error_of_the_standard_output_is_reported_in_one_line() -> None:
    with serving(b"12345", asked=True) as (port, _):
        arguments = ["receive", "127.0.0.1", str(port), "--send", "\\n", "--output", "-"]
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


def test_what_came_before_an_interrupt_is_reported(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    written, interrupted = threading.Event(), threading.Event()

    @contextmanager
    def open_output(_: object) -> Iterator[Callable[[bytes], None]]:
        yield lambda data: written.set()

    def interrupt() -> None:
        assert written.wait(20)
        signal.raise_signal(signal.SIGINT)
        assert interrupted.wait(20)

    monkeypatch.setattr(receive, "open_output", open_output)
    with serving(b"12345", before_end=interrupt) as (port, _):
        result = command("receive", "127.0.0.1", str(port), "--json")
        interrupted.set()
    assert (result.status, ending(result)) == (130, (5, "interrupted"))
    assert result.report["seconds"] > 0


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


def test_it_stops_at_the_timeout(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    clock, ended = MockClock(), threading.Event()
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=clock))

    @contextmanager
    def open_output(_: object) -> Iterator[Callable[[bytes], None]]:
        clock.jump(1)
        yield lambda data: clock.jump(100)

    monkeypatch.setattr(receive, "open_output", open_output)
    with serving(b"12345", before_end=lambda: ended.wait(20)) as (port, _):
        result = command("receive", "127.0.0.1", str(port), "--timeout", "100.5")
        ended.set()
    assert result.status == 1
    assert result.line.startswith("5 bytes in ")
    assert result.line.endswith("; timed out")


def test_an_unexpected_exception_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(receive, "open_tcp_stream", connect)
    with pytest.raises(ZeroDivisionError):
        main(["receive", "127.0.0.1", "1"])
