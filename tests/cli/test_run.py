"""``python -m trio_wsarecv run``: programs that were never told about us run as they do plainly."""

from __future__ import annotations

import ast
import atexit
import io
import pickle
import re
import runpy
import sys
from contextlib import redirect_stdout
from multiprocessing import spawn
from pathlib import Path

import pytest

from tests.programs import PROGRAMS, Program, run
from trio_wsarecv import unpatch_trio
from trio_wsarecv._cli.run import patch_trio_and_workers

on_windows = sys.platform == "win32"
# What is said of a program that makes no Trio socket.
WARNING = "trio_wsarecv: the program made no Trio socket; does it run on asyncio?\n"
OFF = "off: overlapped receives exist on Windows only"
# A program that comes without a file says what it finds of itself.
INSPECTS = """import os, sys, pickle
import __main__, sibling
print("argv", sys.argv)
print("file", globals().get("__file__"))
print("name", __name__, __package__, __spec__, __doc__)
print("path", sys.path[0] if sys.argv[0] == "-c" else os.path.abspath(sys.path[0]))
print("main", vars(__main__) is globals(), sys.modules["__main__"] is __main__)
print("stdin", sys.stdin.read())
print("names", sorted(name for name in globals() if not name.startswith("__")))
"""


def ran(*command: str, stdin: bytes = b"", cwd: Path = PROGRAMS) -> tuple[Program, Program]:
    """Run a program under ``run``, and plainly; return both."""
    ours = under_run(*command, stdin=stdin, cwd=cwd)
    plain = Program(*command, stdin=stdin, cwd=cwd)
    run(ours, plain)
    assert (ours.status, ours.stdout) == (plain.status, plain.stdout), ours.stderr
    return ours, plain


def under_run(*command: str, stdin: bytes = b"", cwd: Path = PROGRAMS) -> Program:
    return Program("-m", "trio_wsarecv", "run", *command, stdin=stdin, cwd=cwd)


def program_in(folder: Path, source: str, name: str = "program.py") -> str:
    """Write a program into a folder, and return its path."""
    path = folder / name
    path.write_text(source)
    return str(path)


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
    ours = under_run("ends.py", "status")
    assert run_plainly("ends.py", "status") == (3, "receiving\n")
    ours.end()
    assert (ours.status, ours.stdout) == (3, "receiving\natexit\n")
    assert ours.stderr == ""


def test_a_program_ends_with_the_error_that_it_did_not_handle() -> None:
    ours, plain = ran("ends.py", "exception")
    assert (ours.status, ours.stdout) == (1, "receiving\natexit\n")
    assert ours.stderr == plain.stderr
    assert "ValueError: the reason" in ours.stderr


def test_a_module_ends_with_the_error_that_it_did_not_handle(tmp_path: Path) -> None:
    program_in(tmp_path, "import there_is_no_such_module")
    ours, plain = ran("-m", "program", cwd=tmp_path)
    # But for the lines on what has started it.
    first, *own = ours.stderr.splitlines(keepends=True)
    assert plain.stderr.startswith(first)
    assert plain.stderr.endswith("".join(own))
    assert len(own) == 3
    assert "program.py" in own[0]


def test_a_program_that_cannot_begin_says_what_it_says_plainly(tmp_path: Path) -> None:
    ours, plain = ran(program_in(tmp_path, "here is an error"))
    assert (ours.status, ours.stderr) == (1, plain.stderr)
    assert "SyntaxError" in ours.stderr


def test_a_program_has_the_last_word_on_its_exceptions(tmp_path: Path) -> None:
    source = "import sys; sys.excepthook = lambda *_: print('hooked'); 1 / 0"
    ours = under_run(program_in(tmp_path, source))
    ours.end()
    assert (ours.status, ours.stdout, ours.stderr) == (1, "hooked\n", "")


@pytest.mark.parametrize(
    "command",
    [
        ("inspects.py", "one", "--two", "-m"),
        ("package",),
        ("-m", "inspects", "run", "-h"),
        ("-m", "package", "three"),
        ("-minspects", "run"),
        ("-c", INSPECTS, "one", "-m"),
        (f"-c{INSPECTS}", "one"),
    ],
    ids=lambda command: " ".join(command).partition("\n")[0],
)
def test_a_program_finds_what_it_finds_plainly(command: tuple[str, ...]) -> None:
    ours, plain = ran(*command, stdin=b"input")
    assert plain.stdout.splitlines()[-2:-1] == ["stdin input"], plain.stderr
    assert ours.stderr == plain.stderr + WARNING * on_windows


def test_a_program_from_the_standard_input_finds_what_it_finds_plainly() -> None:
    ours, plain = ran("-", "one", "-v", stdin=INSPECTS.encode())
    assert "argv ['-', 'one', '-v']" in plain.stdout.splitlines()
    assert ours.stderr == plain.stderr + WARNING * on_windows


def test_code_may_be_indented_and_fail() -> None:
    ours, plain = (
        Program(*command, "-c", code)
        for command, code in (
            (("-m", "trio_wsarecv", "run"), "\n    def f(): 1 / 0\n    f()"),
            ((), "\ndef f(): 1 / 0\nf()"),
        )
    )
    run(ours, plain)
    assert (ours.status, ours.stdout) == (plain.status, plain.stdout)
    assert ours.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert ours.stderr.count("File") == plain.stderr.count("File") == 2


def test_a_script_may_have_the_name_of_an_option(tmp_path: Path) -> None:
    program_in(tmp_path, "import sys; print(sys.argv); sys.exit()", name="-m")
    ours = under_run("--", "-m", "-x", cwd=tmp_path)
    ours.end()
    assert (ours.status, ours.stdout) == (0, "['-m', '-x']\n")
    assert ours.stderr == WARNING * on_windows


def test_everything_that_a_program_makes_is_ours() -> None:
    ours = under_run("kind.py")
    ours.end()
    assert ours.stdout.split() == (["trio_wsarecv"] if on_windows else ["trio"]) * 4
    assert (ours.status, ours.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        (
            ("nowhere.py",),
            2,
            f"can't open file {str(PROGRAMS / 'nowhere.py')!r}: [Errno 2] No such",
        ),
        (("-m", "nowhere"), 1, "No module named nowhere\n"),
    ],
    ids=["script", "module"],
)
def test_what_is_missing_is_named_in_one_line_as_python_does(
    command: tuple[str, ...], status: int, reason: str
) -> None:
    ours = under_run(*command)
    ours.end()
    assert (ours.status, ours.stdout) == (status, "")
    assert ours.stderr.startswith(f"{sys.executable}: {reason}")
    assert ours.stderr.count("\n") == 1


def test_turned_off_it_leaves_a_program_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_WSARECV", "0")
    ours = under_run("--verbose", "kind.py")
    ours.end()
    assert ours.stdout.split() == ["trio"] * 4
    off = "off: TRIO_WSARECV=0 in the environment" if on_windows else OFF
    assert ours.stderr == f"trio_wsarecv: process {ours.pid}: {off}\n"


def test_asked_to_it_says_at_the_end_what_was_received_how() -> None:
    ours = under_run("-v", "two_runs.py")
    ours.end()
    report = re.fullmatch(r"trio_wsarecv: process (\d+): (.+)\n", ours.stderr)
    assert report, ours.stderr
    assert (ours.status, report[1]) == (0, str(ours.pid))
    if on_windows:
        assert re.fullmatch(r"[1-9]\d* receives overlapped, [1-9]\d* by readiness", report[2])
    else:
        assert report[2] == OFF


@pytest.mark.parametrize("value", ["1", "0", None])
def test_the_line_of_the_recipe_turns_it_on_where_the_environment_says_so(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = (Path(__file__).parents[2] / "docs" / "recipes.rst").read_text(encoding="utf-8")
    line = re.search(r"^   (import os; .+)$", recipes, re.MULTILINE)
    assert line
    program_in(tmp_path, line[1], "trio_wsarecv.pth")
    if value:
        monkeypatch.setenv("TRIO_WSARECV", value)
    else:
        monkeypatch.delenv("TRIO_WSARECV", raising=False)
    # What Python does with its site-packages when it starts.
    code = f"import site; site.addsitedir({str(tmp_path)!r})\n"
    child = Program("-c", code + (PROGRAMS / "kind.py").read_text())
    child.end()
    assert (child.status, child.stderr) == (0, "")
    assert set(child.stdout.split()) == {"trio_wsarecv" if on_windows and value == "1" else "trio"}


def test_asked_to_every_process_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: list[object] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    monkeypatch.setattr(spawn, "get_preparation_data", spawn.get_preparation_data)
    try:
        patch_trio_and_workers(verbose=True)
        if on_windows:
            told = spawn.get_preparation_data("a worker")["trio_wsarecv"]
            pickle.loads(pickle.dumps(told))  # as the worker does first
    finally:
        unpatch_trio()
    assert len(at_exit) == (2 if on_windows else 1)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the option -P is new in Python 3.11")
@pytest.mark.parametrize("name", ["program.py", "__main__.py", "-c"])
def test_a_safe_path_stays_safe(tmp_path: Path, name: str) -> None:
    source = "import sys; print(sys.path)"
    program_in(tmp_path, source, name)
    path = str(tmp_path / name if name == "program.py" else tmp_path)
    program = ("-c", source) if name == "-c" else (path,)
    ours, plain = (
        Program("-P", *command, *program) for command in (("-m", "trio_wsarecv", "run"), ())
    )
    run(ours, plain)
    assert (ours.status, ours.stdout) == (plain.status, plain.stdout) != (0, ""), ours.stderr
