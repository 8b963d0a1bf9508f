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


def test_it_reports_the_engine_of_each_kind_of_socket(command: Command) -> None:
    result = command("doctor", "--json")
    report = result.report
    assert (result.status, report["ok"]) == (0, True)
    assert report["versions"]["trio_wsarecv"] == __version__
    assert report["recvmsg"] == {"ok": True, "error": None}
    assert len(report["sockets"]) == 4
    for finding in report["sockets"]:
        if finding["error"] is None:
            assert finding["overlapped"] is on_windows
            assert finding["engine"].startswith("overlapped" if on_windows else "readiness")
            assert (finding["provider"] is not None) == on_windows
            assert finding["receive_buffer"] > 4096


def test_its_first_line_is_the_verdict(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    for name in ("rich", "trio_wsarecv._cli.receive"):  # it needs no extra
        monkeypatch.setitem(sys.modules, name, None)
    result = command("doctor")
    lines = result.out.splitlines()
    assert result.status == 0
    assert lines[0] == (
        "all is well: every kind of socket uses overlapped receives"
        if on_windows
        else f"off: {Choice.NOT_WINDOWS.value.removeprefix('readiness: ')}"
    )
    assert lines[1].split() == ["trio_wsarecv", __version__]
    assert len(lines) == 10
    assert re.fullmatch(r"UDP over IPv4  (UDP/IP, )?SO_RCVBUF \d+ bytes", lines[8])


@pytest.mark.windows
def test_it_reports_why_a_kind_of_socket_uses_readiness(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    choices = iter([Choice.NO_IFS_HANDLES, Choice.OVERLAPPED] * 2)

    def choose(sock: object, receiver: Receiver) -> None:
        receiver.choice = next(choices)

    monkeypatch.setattr(doctor, "choose_engine", choose)
    result = command("doctor", "--json")
    reason = f"TCP over IPv4, UDP over IPv4: {Choice.NO_IFS_HANDLES.value}"
    assert (result.status, result.report["verdict"]) == (1, reason)


@pytest.mark.windows
def test_it_reports_that_the_package_is_turned_off(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("TRIO_WSARECV", "0")
    result = command("doctor", "--json")
    assert result.status == 1
    assert result.report["verdict"] == "off: TRIO_WSARECV=0 in the environment"
    assert result.report["ok"] is False


@pytest.mark.parametrize("ends", ["in an error", "never"])
def test_it_reports_that_recvmsg_fails(
    ends: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    async def recvmsg(*_: object) -> None:
        if ends == "never":
            await trio.sleep_forever()
        raise winsock_error(WinsockError.WSAEFAULT)

    monkeypatch.setattr(trio_wsarecv.Socket, "recvmsg", recvmsg)
    monkeypatch.setattr(doctor, "_PATIENCE", 0.01)
    result = command("doctor", "--json")
    check, verdict = result.report["recvmsg"], result.report["verdict"]
    assert result.status == (1 if on_windows else 0)
    assert check["ok"] is False
    reason = "no datagram" if ends == "never" else "10014" if on_windows else "WSAEFAULT"
    assert reason in check["error"]
    assert "recvmsg fails" in verdict
    assert check["error"] in verdict


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
    findings = {each["kind"]: each for each in report["sockets"]}
    assert findings["TCP over IPv4"]["overlapped"] is on_windows
    for kind in ("TCP over IPv6", "UDP over IPv4", "UDP over IPv6"):
        assert (findings[kind]["overlapped"], findings[kind]["engine"]) == (None, None)
        assert findings[kind]["error"] == "none of these here"
    assert report["recvmsg"] == {"ok": None, "error": "none of these here"}
    missing = "; not checked: TCP over IPv6, UDP over IPv4, UDP over IPv6, recvmsg"
    assert report["verdict"].endswith(missing)

    result = command("doctor")
    lines = result.out.splitlines()
    assert result.status == 0
    assert lines[0].endswith(missing)
    assert lines[-1] == "recvmsg        not checked: none of these here"
    assert len(lines) == 11


async def test_a_datagram_that_cannot_be_sent_is_no_failure_of_recvmsg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sendto(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise winsock_error(WinsockError.WSAENETDOWN)

    monkeypatch.setattr(trio_wsarecv.Socket, "sendto", sendto)
    check = await doctor.try_recvmsg()
    assert check.ok is None
    assert "WSAENETDOWN" in str(check.error) or "10050" in str(check.error)


def test_an_error_without_a_text_is_shown_by_its_code() -> None:
    error = winsock_error(WinsockError.WSAEOPNOTSUPP)
    assert "Windows Error" not in reason_of(error)
    if on_windows:
        error = OSError(0, "Windows Error 0x273d", None, 10045, None)
        expected = winsock_error(WinsockError.WSAEOPNOTSUPP).strerror
        assert reason_of(error) == f"[WinError 10045] {expected}"
    assert reason_of(OSError("in words")) == "in words"
