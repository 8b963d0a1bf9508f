"""``python -m trio_wsarecv doctor``."""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio

import trio_wsarecv
from tests.receiving import on_windows
from trio_wsarecv import WinsockError, __version__
from trio_wsarecv._cli import doctor, reason_of
from trio_wsarecv._engine.choice import Choice
from trio_wsarecv._winsock.calls import winsock_error

from .conftest import Command

if TYPE_CHECKING:
    from trio_wsarecv._engine.receiver import Receiver

WELL = (
    "all is well: every kind of socket uses overlapped receives"
    if on_windows
    else f"off: {Choice.NOT_WINDOWS.value.removeprefix('readiness: ')}"
)


def test_it_reports_the_engine_of_each_kind_of_socket(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    for name in ("rich", "trio_wsarecv._cli.receive"):  # it needs no extra
        monkeypatch.setitem(sys.modules, name, None)
    result = command("doctor", "--json")
    report = result.report
    assert (result.status, report["ok"], report["verdict"]) == (0, True, WELL)
    assert report["versions"]["trio_wsarecv"] == __version__
    assert report["recvmsg"] == {"ok": True, "error": None}
    assert len(report["sockets"]) == 4
    for finding in report["sockets"]:
        if finding["error"] is None:
            assert finding["overlapped"] is on_windows
            assert finding["engine"].startswith("overlapped" if on_windows else "readiness")
            assert (finding["provider"] is not None) == on_windows
            assert finding["receive_buffer"] > 4096

    result = command("doctor")
    lines = result.out.splitlines()
    assert (result.status, lines[0], len(lines)) == (0, WELL, 10)
    assert lines[1].split() == ["trio_wsarecv", __version__]
    assert re.fullmatch(r"UDP over IPv4  (UDP/IP, )?SO_RCVBUF \d+ bytes", lines[8])


@pytest.mark.windows
def test_it_fails_and_says_why_receives_are_not_overlapped(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    choices = iter([Choice.NO_IFS_HANDLES, Choice.OVERLAPPED] * 2)

    def choose(sock: object, receiver: Receiver) -> None:
        receiver.choice = next(choices)

    with monkeypatch.context() as patch:
        patch.setattr(doctor, "choose_engine", choose)
        result = command("doctor", "--json")
    reason = f"TCP over IPv4, UDP over IPv4: {Choice.NO_IFS_HANDLES.value}"
    assert (result.status, result.report["verdict"]) == (1, reason)

    monkeypatch.setenv("TRIO_WSARECV", "0")
    result = command("doctor", "--json")
    assert (result.status, result.report["ok"]) == (1, False)
    assert result.report["verdict"] == "off: TRIO_WSARECV=0 in the environment"


@pytest.mark.parametrize(
    ("call", "reason"), [("recvmsg", "no datagram"), ("recvmsg", ""), ("sendto", "")]
)
def test_only_a_datagram_that_was_sent_shows_that_recvmsg_fails(
    call: str, reason: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    async def fail(*_: object) -> None:
        if reason:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        raise winsock_error(WinsockError.WSAEFAULT)

    monkeypatch.setattr(trio_wsarecv.Socket, call, fail)
    monkeypatch.setattr(doctor, "_PATIENCE", 0.01)
    result = command("doctor", "--json")
    check, verdict = result.report["recvmsg"], result.report["verdict"]
    assert (reason or ("10014" if on_windows else "WSAEFAULT")) in check["error"]
    if call == "sendto":
        assert (result.status, check["ok"]) == (0, None)
        assert verdict == f"{WELL}; not checked: recvmsg"
    else:
        assert (result.status, check["ok"]) == (int(on_windows), False)
        assert f"recvmsg fails, as it does with some filter drivers: {check['error']}" in verdict


def test_what_it_could_not_check_is_not_a_failure(
    monkeypatch: pytest.MonkeyPatch, command: Command
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
    result = command("doctor", "--json")
    report = result.report
    assert (result.status, report["ok"]) == (0, True)
    first, *others = report["sockets"]
    assert (first["kind"], first["overlapped"]) == ("TCP over IPv4", on_windows)
    for finding in others:
        assert (finding["overlapped"], finding["engine"]) == (None, None)
        assert finding["error"] == "none of these here"
    assert report["recvmsg"] == {"ok": None, "error": "none of these here"}
    missing = "not checked: TCP over IPv6, UDP over IPv4, UDP over IPv6, recvmsg"
    assert report["verdict"] == f"{WELL}; {missing}"

    lines = command("doctor").out.splitlines()
    assert lines[0] == report["verdict"]
    assert lines[-1] == "recvmsg        not checked: none of these here"
    assert len(lines) == 11


def test_an_error_without_a_text_is_shown_by_its_code() -> None:
    error = winsock_error(WinsockError.WSAEOPNOTSUPP)
    assert "Windows Error" not in reason_of(error)
    if on_windows:
        error = OSError(0, "Windows Error 0x273d", None, 10045, None)
        expected = winsock_error(WinsockError.WSAEOPNOTSUPP).strerror
        assert reason_of(error) == f"[WinError 10045] {expected}"
    assert reason_of(OSError("in words")) == "in words"
