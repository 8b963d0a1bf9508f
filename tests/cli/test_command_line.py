"""The command line, called as ``python -m trio_wsarecv`` calls it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs import environment
from trio_wsarecv import __version__
from trio_wsarecv.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def status_of(*arguments: str) -> int:
    """Run a tool and return its exit status."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


@contextmanager
def serving(answer: bytes, *, asked: bool = True) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection: receive a line, if asked, send the answer, close."""
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            if asked:
                received.append(lines.readline())
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1], received
        server.join()


def test_doctor_says_which_engine_each_kind_of_socket_gets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status_of("doctor", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["versions"]["trio_wsarecv"] == __version__
    expected = "overlapped" if sys.platform == "win32" else "readiness"
    assert len(report["sockets"]) == 4
    for finding in report["sockets"]:
        if finding["error"] is None:
            assert finding["engine"].startswith(expected)
            assert (finding["provider"] is not None) == (sys.platform == "win32")


def test_doctor_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("doctor") == 0
    text = capsys.readouterr().out
    assert "TCP over IPv4" in text
    assert __version__ in text


def test_doctor_says_of_which_kind_no_socket_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class WithoutIPv6(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *arguments: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError("no such family here")
            super().__init__(family, *arguments, **options)

    monkeypatch.setattr(socket, "socket", WithoutIPv6)
    assert status_of("doctor", "--json") == (1 if sys.platform == "win32" else 0)
    findings = json.loads(capsys.readouterr().out)["sockets"]
    missing = [finding for finding in findings if finding["engine"] is None]
    assert [(finding["kind"], finding["error"]) for finding in missing] == [
        ("TCP over IPv6", "no such family here"),
        ("UDP over IPv6", "no such family here"),
    ]


def test_receive_writes_what_it_receives_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytes(range(256)) * 5000
    output = tmp_path / "output"
    with serving(content) as (port, received):
        assert (
            status_of(
                *("receive", "127.0.0.1", str(port), "--send", "hello\\r\\n"),
                *("--output", str(output), "--json"),
            )
            == 0
        )
    assert received == [b"hello\r\n"]
    assert output.read_bytes() == content
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    report = json.loads(line)
    assert report["bytes"] == len(content)
    assert report["receives"] == report["immediate"] + report["pended"] > 1


def test_receive_reports_in_words_and_shows_no_progress_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(b"12345") as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--send", "\\n") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("5 bytes in ")


def test_receive_shows_its_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    with serving(b"12345", asked=False) as (port, _):
        assert status_of("receive", "127.0.0.1", str(port)) == 0
    text = capsys.readouterr().err
    assert "5 bytes in " in text
    assert "bytes/s" in text or "?" in text


def test_receive_says_in_one_line_that_nobody_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert status_of("receive", "127.0.0.1", str(port)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: 127.0.0.1 port {port}: ")
    assert "refused" in line


def test_receive_makes_a_file_also_of_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"from another time")
    with serving(b"") as (port, _):
        assert (
            status_of(
                *("receive", "127.0.0.1", str(port), "--send", "\\n", "--output", str(output))
            )
            == 0
        )
    assert output.read_bytes() == b""


# More than a file's buffer holds, and less.
@pytest.mark.parametrize("content", [bytes(100_000), b"12345"])
def test_receive_says_in_one_line_that_nobody_reads_its_output(content: bytes) -> None:
    with serving(content) as (port, _):
        arguments = ["receive", "127.0.0.1", str(port), "--send", "\\n", "--output", "-"]
        with subprocess.Popen(
            [sys.executable, "-m", "trio_wsarecv", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            (line,) = process.stderr.read().decode().splitlines()
    assert process.returncode == 1
    assert line.startswith("Error: Could not write to file '<stdout>': ")


def test_a_wrong_command_gets_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: ")
    assert status_of("receive", "127.0.0.1", "0") == 2


@pytest.mark.parametrize("tool", ["doctor", "receive"])
def test_every_tool_explains_itself(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(tool, "--help") == 0
    assert f"Usage: python -m trio_wsarecv {tool}" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert tool in capsys.readouterr().out


def test_without_the_extra_a_tool_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "click", None)
    for name in ("trio_wsarecv._cli.doctor", "trio_wsarecv._cli.receive"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["doctor"]) == 1
    assert 'pip install "trio_wsarecv[cli]"' in capsys.readouterr().err
