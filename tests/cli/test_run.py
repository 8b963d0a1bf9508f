"""``python -m trio_wsarecv run``: programs that were never told about us run as they do plainly."""

from __future__ import annotations

import ast
import atexit
import io
import runpy
import sys
from contextlib import redirect_stdout

import pytest

from tests.programs import PROGRAMS, Program, run
from trio_wsarecv.__main__ import main

on_windows = sys.platform == "win32"


def run_plainly(name: str, *arguments: str) -> tuple[object, str]:
    """Run a program in this process, which is quicker; return its exit status and output."""
    with redirect_stdout(io.StringIO()) as output, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        # What the program leaves to the end of the interpreter is not for this one.
        patch.setattr(atexit, "register", lambda *args: None)
        try:
            runpy.run_path(str(PROGRAMS / name), run_name="__main__")
        except SystemExit as exc:
            status = exc.code
        else:
            status = 0
    return status, output.getvalue()


@pytest.mark.parametrize(
    ("name", "sockets"),
    # The receiving sockets; in two_runs, two of those are used in a second run.
    [
        ("echo", (20, 0)),
        ("tls", (2, 0)),
        ("cancels", (1, 0)),
        ("closes", (4, 0)),
        ("two_runs", (3, 1)),
        ("adopts", (2, 0)),
    ],
)
def test_a_program_does_what_it_does_plainly(name: str, sockets: tuple[int, int]) -> None:
    program = f"{name}.py"
    ours = Program("counted.py", "run", program)
    status, output = run_plainly(program)
    ours.end()
    assert output
    assert (ours.status, ours.stdout) == (status, output)
    statistics = ast.literal_eval(ours.stderr)
    if on_windows:
        counted = (statistics["overlapped_sockets"], statistics["readiness_sockets"])
        assert counted == sockets
        assert statistics["wsarecv_calls"] >= statistics["pended"] > 0
        assert statistics["failed"] == 0
        if name == "cancels":
            assert statistics["cancelled"] > 5
    else:
        assert not any(statistics.values())


def test_a_program_ends_with_the_status_that_it_chooses() -> None:
    ours = Program("-m", "trio_wsarecv", "run", "ends.py", "status")
    assert run_plainly("ends.py", "status") == (3, "receiving\n")
    ours.end()
    assert (ours.status, ours.stdout) == (3, "receiving\natexit\n")
    assert ours.stderr == ""


def test_a_program_ends_with_the_error_that_it_did_not_handle() -> None:
    ours = Program("-m", "trio_wsarecv", "run", "ends.py", "exception")
    plain = Program("ends.py", "exception")
    run(ours, plain)
    assert (ours.status, ours.stdout) == (plain.status, plain.stdout)
    assert (ours.status, ours.stdout) == (1, "receiving\natexit\n")
    # The traceback begins with how the program was started, but the program's part is the same.
    start = "  |     raise combined_error"
    assert ours.stderr.partition(start)[2] == plain.stderr.partition(start)[2]
    assert "ValueError: the reason" in ours.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("inspects.py", "one", "--two", "-m"),
        ("package",),
        ("-m", "inspects", "run", "-h"),
        ("-m", "package", "three"),
    ],
    ids=" ".join,
)
def test_a_program_finds_what_it_finds_plainly(command: tuple[str, ...]) -> None:
    plain = Program(*command, stdin=b"input")
    ours = Program("-m", "trio_wsarecv", "run", *command, stdin=b"input")
    run(plain, ours)
    assert plain.stdout.splitlines()[-2:-1] == ["stdin input"], plain.stderr
    assert (ours.stdout, ours.stderr, ours.status) == (plain.stdout, plain.stderr, plain.status)


def test_everything_that_a_program_makes_is_ours() -> None:
    ours = Program("-m", "trio_wsarecv", "run", "kind.py")
    missing = Program("-m", "trio_wsarecv", "run", "there_is_no_such_program.py")
    run(ours, missing)
    assert ours.stdout.split() == (["trio_wsarecv"] if on_windows else ["trio"]) * 4
    assert (ours.status, ours.stderr) == (0, "")
    assert missing.status != 0
    assert "there_is_no_such_program.py" in missing.stderr.splitlines()[-1]


def test_everything_that_worker_processes_make_is_ours() -> None:
    ours = Program("-m", "trio_wsarecv", "run", "workers.py")
    ours.end()
    assert ours.stdout.split() == (["trio_wsarecv"] if on_windows else ["trio"]) * 2
    assert (ours.status, ours.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [((), 2), (("run",), 2), (("run", "--fast", "x.py"), 2), (("walk", "x.py"), 2), (("-h",), 0)],
)
def test_without_a_program_there_is_help(
    arguments: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        result = main(list(arguments))
    except SystemExit as exc:
        result = exc.code  # type: ignore[assignment]
    assert result == status
    captured = capsys.readouterr()
    silent, helpful = captured if status else reversed(captured)
    assert silent == ""
    assert helpful.startswith("usage: python -m trio_wsarecv")
