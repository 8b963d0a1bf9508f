"""The command line, called as ``python -m trio_wsarecv`` calls it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock

import trio_wsarecv
from tests.programs import environment
from trio_wsarecv import WinsockError, __version__
from trio_wsarecv.__main__ import main
from trio_wsarecv._cli import doctor, reason_of, receive
from trio_wsarecv._engine.choice import Choice
from trio_wsarecv._winsock.calls import winsock_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trio_wsarecv._engine.receiver import Receiver


on_windows = sys.platform == "win32"


def status_of(*arguments: str) -> int:
    """Run a command and return its exit status."""
    with pytest.raises(SystemExit) as exit_:
        sys.exit(main(arguments))
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def run_unread(*arguments: str) -> tuple[int, str]:
    """Run a command whose output nobody reads; return its exit status and what it says of it."""
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
        error = process.stderr.read().decode()
    return process.returncode, error


@contextmanager
def serving(
    answer: bytes, *, asked: bool = True, before_end: Callable[[], object] = lambda: None
) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection: receive a line, if asked, send the answer, close."""
    received: list[bytes] = []

    def serve() -> None:
        with listener:  # which nobody can connect to any more, and wait, if this fails
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


def report_of_doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = status_of("doctor", "--json")
    return status, json.loads(capsys.readouterr().out)


def test_doctor_says_which_engine_each_kind_of_socket_gets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, report = report_of_doctor(capsys)
    assert (status, report["ok"]) == (0, True)
    assert report["versions"]["trio_wsarecv"] == __version__
    assert report["recvmsg"] == {"ok": True, "error": None}
    expected = "overlapped" if on_windows else "readiness"
    assert len(report["sockets"]) == 4
    for finding in report["sockets"]:
        if finding["error"] is None:
            assert finding["overlapped"] is on_windows
            assert finding["engine"].startswith(expected)
            assert (finding["provider"] is not None) == on_windows
            assert finding["receive_buffer"] > 4096


def test_doctor_begins_with_its_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("rich", "trio_wsarecv._cli.receive"):  # it needs no extra
        monkeypatch.setitem(sys.modules, name, None)
    assert status_of("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "all is well: every kind of socket uses overlapped receives"
        if on_windows
        else f"off: {Choice.NOT_WINDOWS.value.removeprefix('readiness: ')}"
    )
    assert lines[1].split() == ["trio_wsarecv", __version__]
    assert len(lines) == 10
    assert re.fullmatch(r"UDP over IPv4  (UDP/IP, )?SO_RCVBUF \d+ bytes", lines[8])


@pytest.mark.windows
def test_doctor_says_why_something_is_not_received_overlapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = iter([Choice.NO_IFS_HANDLES, Choice.OVERLAPPED] * 2)

    def choose(sock: object, receiver: Receiver) -> None:
        receiver.choice = next(choices)

    monkeypatch.setattr(doctor, "choose_engine", choose)
    status, report = report_of_doctor(capsys)
    assert status == 1
    reason = Choice.NO_IFS_HANDLES.value
    assert report["verdict"] == f"TCP over IPv4, UDP over IPv4: {reason}"


@pytest.mark.windows
def test_doctor_says_that_it_is_turned_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIO_WSARECV", "0")
    status, report = report_of_doctor(capsys)
    assert (status, report["verdict"]) == (1, "off: TRIO_WSARECV=0 in the environment")
    assert report["ok"] is False


@pytest.mark.parametrize("ends", ["in an error", "never"])
def test_doctor_says_that_a_filter_driver_breaks_recvmsg(
    ends: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def recvmsg(*_: object) -> None:
        if ends == "never":
            await trio.sleep_forever()
        raise winsock_error(WinsockError.WSAEFAULT)

    monkeypatch.setattr(trio_wsarecv.Socket, "recvmsg", recvmsg)
    monkeypatch.setattr(doctor, "_PATIENCE", 0.01)
    status, report = report_of_doctor(capsys)
    assert status == (1 if on_windows else 0)
    assert "recvmsg fails" in report["verdict"]
    reason = "no datagram" if ends == "never" else "10014" if on_windows else "WSAEFAULT"
    assert report["recvmsg"]["ok"] is False
    assert reason in report["recvmsg"]["error"]
    assert report["recvmsg"]["error"] in report["verdict"]


def test_doctor_tells_what_it_could_not_check_from_what_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class StreamsOverIPv4(socket.socket):
        def __init__(
            self,
            family: int = socket.AF_INET,
            type: int = socket.SOCK_STREAM,
            *arguments: Any,
            **options: Any,
        ) -> None:
            if family == socket.AF_INET6 or type == socket.SOCK_DGRAM:
                raise OSError("none of these here")
            super().__init__(family, type, *arguments, **options)

    monkeypatch.setattr(socket, "socket", StreamsOverIPv4)
    status, report = report_of_doctor(capsys)
    assert (status, report["ok"]) == (0, True)  # nothing has failed
    findings = {each["kind"]: each for each in report["sockets"]}
    assert findings["TCP over IPv4"]["overlapped"] is on_windows
    for kind in ("TCP over IPv6", "UDP over IPv4", "UDP over IPv6"):
        assert (findings[kind]["overlapped"], findings[kind]["engine"]) == (None, None)
        assert findings[kind]["error"] == "none of these here"
    assert report["recvmsg"] == {"ok": None, "error": "none of these here"}
    missing = "not checked: TCP over IPv6, UDP over IPv4, UDP over IPv6, recvmsg"
    assert report["verdict"].endswith(f"; {missing}")

    assert status_of("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"; {missing}")
    assert lines[-1] == "recvmsg        not checked: none of these here"
    assert len(lines) == 11


async def test_doctor_does_not_blame_a_filter_driver_for_a_datagram_that_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sendto(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise winsock_error(WinsockError.WSAENETDOWN)

    monkeypatch.setattr(trio_wsarecv.Socket, "sendto", sendto)
    check = await doctor.try_recvmsg()
    assert check.ok is None
    assert "WSAENETDOWN" in str(check.error) or "10050" in str(check.error)


def test_an_error_without_a_text_names_its_code() -> None:
    error = winsock_error(WinsockError.WSAEOPNOTSUPP)
    assert "Windows Error" not in reason_of(error)
    if on_windows:
        error = OSError(0, "Windows Error 0x273d", None, 10045, None)
        expected = winsock_error(WinsockError.WSAEOPNOTSUPP).strerror
        assert reason_of(error) == f"[WinError 10045] {expected}"
    assert reason_of(OSError("in words")) == "in words"


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
    assert captured.err == ""
    report = json.loads(captured.out)
    assert report["bytes"] == len(content)
    assert report["receives"] == report["immediate"] + report["pended"] > 1
    assert (report["ended"], report["error"]) == ("closed", None)


def test_receive_reports_in_words_and_shows_no_progress_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(b"12345") as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--send", "\\n") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("5 bytes in ")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ((1, 1, 1, 0), "1 byte in 0.250 s, 1 receive: 1 immediate, 0 after waiting; closed"),
        ((0, 2, 0, 2), "0 bytes in 0.250 s, 2 receives: 0 immediate, 2 after waiting; closed"),
    ],
)
def test_receive_counts_in_the_singular_and_the_plural(report: tuple[int, ...], words: str) -> None:
    counts = dict(zip(("bytes", "receives", "immediate", "pended"), report, strict=True))
    assert receive._in_words({**counts, "seconds": 0.25, "ended": "closed"}) == words


def test_receive_leaves_the_standard_output_to_the_data(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with serving(b"12345", asked=False) as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--output", "-", "--json") == 0
    captured = capfdbinary.readouterr()
    assert captured.out == b"12345"
    assert json.loads(captured.err)["bytes"] == 5


@pytest.mark.parametrize("as_json", [False, True])
def test_receive_reports_what_had_come_before_a_reset(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receive_into = trio_wsarecv.SocketStream.receive_into

    async def receive_until_reset(stream: trio_wsarecv.SocketStream, buffer: bytearray) -> int:
        if nbytes := await receive_into(stream, buffer):
            return nbytes
        raise trio.BrokenResourceError from winsock_error(WinsockError.WSAECONNRESET)

    monkeypatch.setattr(trio_wsarecv.SocketStream, "receive_into", receive_until_reset)
    with serving(b"12345", asked=False) as (port, _):
        options = ["--json"] if as_json else []
        assert status_of("receive", "127.0.0.1", str(port), *options) == 1
    captured = capsys.readouterr()
    *words, error = captured.err.splitlines()
    assert error.startswith(f"Error: 127.0.0.1 port {port}: ")
    if as_json:
        report = json.loads(captured.out)
        assert (report["bytes"], report["ended"], words) == (5, "broken", [])
        assert error == f"Error: {report['error']}"
    else:
        (line,) = words
        assert line.startswith("5 bytes in ")
        assert line.endswith("; broken")


def test_receive_needs_no_extra_but_shows_no_progress_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with serving(b"12345", asked=False) as (port, _):
        assert status_of("receive", "127.0.0.1", str(port)) == 0
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
    assert re.search(r"5 bytes(?! in )", text)
    assert "/?" not in text  # nobody knows how much there will be


def test_receive_says_in_one_line_that_nobody_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert status_of("receive", "127.0.0.1", str(port)) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"Error: 127.0.0.1 port {port}: ")
        assert "refused" in line
        assert status_of("receive", "127.0.0.1", str(port), "--json") == 1
        captured = capsys.readouterr()
        report = json.loads(captured.out)
    assert (report["bytes"], report["ended"]) == (0, "not connected")
    assert captured.err == f"Error: {report['error']}\n"


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
        status, error = run_unread(*arguments)
    assert status == 1
    report, line = error.splitlines()
    assert report.endswith("; broken")
    assert line.startswith("Error: Could not write to file '<stdout>': ")


def test_receive_says_in_one_line_that_it_cannot_make_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path)  # a folder
    with serving(b"12345", asked=False) as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--output", output) == 1
    _, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: Could not write to file {output!r}: ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_receive_says_in_one_line_that_the_disk_is_full(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(b"12345", asked=False) as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--output", "/dev/full") == 1
    _, line = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: Could not write to file '/dev/full': ")


@pytest.mark.parametrize("as_json", [False, True])
def test_receive_interrupted_reports_what_has_come(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    with serving(b"12345", asked=False, before_end=interrupt) as (port, _):
        options = ["--json"] if as_json else []
        assert status_of("receive", "127.0.0.1", str(port), *options) == 130
        interrupted.set()
    captured = capsys.readouterr()
    if as_json:
        report = json.loads(captured.out)
        assert (report["bytes"], report["ended"]) == (5, "interrupted")
        assert report["seconds"] > 0
    else:
        (line,) = captured.err.splitlines()
        assert line.startswith("5 bytes in ")
        assert line.endswith("; interrupted")


def test_receive_interrupted_while_it_connects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def connect(*_: object) -> None:
        async with trio.open_nursery() as nursery:  # as Trio's own does
            nursery.start_soon(trio.sleep_forever)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(receive, "open_tcp_stream", connect)
    assert status_of("receive", "127.0.0.1", "1") == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("0 bytes in 0.000 s, 0 receives")
    assert line.endswith("; interrupted")


def test_receive_gives_up_when_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, ended = MockClock(), threading.Event()
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=clock))

    @contextmanager
    def open_output(_: object) -> Iterator[Callable[[bytes], None]]:
        clock.jump(1)
        yield lambda data: clock.jump(100)

    monkeypatch.setattr(receive, "open_output", open_output)
    with serving(b"12345", asked=False, before_end=lambda: ended.wait(20)) as (port, _):
        assert status_of("receive", "127.0.0.1", str(port), "--timeout", "100.5") == 1
        ended.set()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("5 bytes in ")
    assert line.endswith("; timed out")


def test_receive_lets_through_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(receive, "open_tcp_stream", connect)
    with pytest.raises(ZeroDivisionError):
        main(["receive", "127.0.0.1", "1"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["dance"], "No such command 'dance'."),
        (["--json"], "No such option '--json'."),
        (["doctor", "--jsno"], "No such option '--jsno'."),
        (["doctor", "--json", "more"], "Got unexpected extra argument (more)."),
        (["run"], "Missing argument 'SCRIPT'."),
        (["run", "--"], "Missing argument 'SCRIPT'."),
        (["run", "-m"], "Option '-m' requires an argument."),
        (["run", "-v", "-c"], "Option '-c' requires an argument."),
        (["run", "--fast", "x.py"], "No such option '--fast'."),
        (["run", "--verbose", "--fast"], "No such option '--fast'."),
    ],
)
def test_what_is_wrong_is_named_in_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"Error: {reason} Try 'python -m trio_wsarecv --help' for help.\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["127.0.0.1", "0"], "argument PORT: '0' is not a number from 1 to 65535."),
        (["127.0.0.1", "http"], "argument PORT: 'http' is not a number from 1 to 65535."),
        (["127.0.0.1", "1", "--timeout", "nan"], "--timeout: 'nan' is not a number above 0."),
        (["127.0.0.1", "1", "--timeout", "0"], "--timeout: '0' is not a number above 0."),
        (["127.0.0.1", "1", "--timeout", "x"], "--timeout: 'x' is not a number above 0."),
        (["127.0.0.1"], "the following arguments are required: PORT."),
        (["127.0.0.1", "1", "--jso"], "unrecognized arguments: --jso."),
    ],
)
def test_receive_names_what_is_wrong_in_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of("receive", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert line.endswith(f"{reason} Try 'python -m trio_wsarecv receive --help' for help.")


def test_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    assert status_of("receive", "--help") == 0
    assert "usage: python -m trio_wsarecv receive" in capsys.readouterr().out
    assert main([]) == 2
    usage = capsys.readouterr().err
    for arguments in (["-h"], ["--help"], ["run", "--help"], ["doctor", "-h"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == usage
    for command in ("run", "doctor", "receive"):
        assert f"python -m trio_wsarecv {command}" in usage


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"trio_wsarecv {__version__}\n"


@pytest.mark.parametrize("arguments", [["doctor"], ["--version"], ["--help"]], ids=" ".join)
def test_what_cannot_be_written_is_an_error(arguments: list[str]) -> None:
    status, error = run_unread(*arguments)
    assert status == 1
    (line,) = error.splitlines()
    assert line.startswith("Error: Could not write to file '<stdout>': ")
