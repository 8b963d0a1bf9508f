"""``python -m trio_wsarecv``: help, the version, and wrong arguments."""

from __future__ import annotations

import sys

import pytest

from tests.programs import run_unread
from trio_wsarecv import __version__

from .conftest import Command


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("dance", "No such command 'dance'."),
        ("--json", "No such option '--json'."),
        ("doctor --jsno", "No such option '--jsno'."),
        ("doctor --json more", "Got unexpected extra argument (more)."),
        ("run", "Missing argument 'SCRIPT'."),
        ("run -m", "Option '-m' requires an argument."),
        ("run -v -c", "Option '-c' requires an argument."),
        ("run --fast x.py", "No such option '--fast'."),
        ("receive ::1 0", "argument PORT: '0' is not a number from 1 to 65535."),
        ("receive ::1 65536", "argument PORT: '65536' is not a number from 1 to 65535."),
        ("receive ::1 http", "argument PORT: 'http' is not a number from 1 to 65535."),
        ("receive ::1 1 --timeout nan", "argument --timeout: 'nan' is not a number above 0."),
        ("receive ::1 1 --timeout 0", "argument --timeout: '0' is not a number above 0."),
        ("receive ::1 1 --timeout x", "argument --timeout: 'x' is not a number above 0."),
        ("receive ::1", "the following arguments are required: PORT."),
        ("receive ::1 1 --jso", "unrecognized arguments: --jso."),
    ],
)
def test_wrong_arguments_are_reported_in_one_line(
    arguments: str, reason: str, command: Command
) -> None:
    name = "receive " * arguments.startswith("receive")
    error = f"Error: {reason} Try 'python -m trio_wsarecv {name}--help' for help.\n"
    assert command(*arguments.split()) == (2, "", error)


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    status, out, _ = command("receive", "--help")
    assert status == 0
    assert "usage: python -m trio_wsarecv receive" in out
    status, _, usage = command()
    assert status == 2
    for arguments in (["-h"], ["--help"], ["run", "--help"], ["doctor", "-h"]):
        assert command(*arguments) == (0, usage, "")
    for name in ("run", "doctor", "receive"):
        assert f"python -m trio_wsarecv {name}" in usage
    assert command("--version") == (0, f"trio_wsarecv {__version__}\n", "")


def test_output_that_cannot_be_written_is_an_error() -> None:
    status, (line,) = run_unread("doctor")
    assert status == 1
    assert line.startswith("Error: Could not write to file '<stdout>': ")
