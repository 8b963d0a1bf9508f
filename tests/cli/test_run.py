"""``python -m trio_wsarecv run``: unmodified programs behave as under plain ``python``."""

from __future__ import annotations

import ast
import atexit
import pickle
import re
import shutil
import sys
from collections.abc import Sequence
from multiprocessing import spawn
from pathlib import Path

import pytest

from tests.programs import PROGRAMS, Program, run
from tests.receiving import on_windows
from trio_wsarecv import unpatch_trio
from trio_wsarecv._cli.run import patch_trio_and_workers

# What is written about a program that makes no Trio socket.
WARNING = "trio_wsarecv: the program made no Trio socket; does it run on asyncio?\n" * on_windows
OFF = "off: overlapped receives exist on Windows only"
INSPECTS = (PROGRAMS / "inspects.py").read_text()


def ran(*command: str, stdin: bytes = b"", cwd: Path = PROGRAMS) -> Program:
    """Run a program under ``run`` to its end."""
    program = Program("-m", "trio_wsarecv", "run", *command, stdin=stdin, cwd=cwd)
    program.end()
    return program


def ran_both_ways(
    *command: str, options: Sequence[str] = (), stdin: bytes = b"", cwd: Path = PROGRAMS
) -> tuple[Program, Program]:
    """Run a program under ``run`` and by ``python`` alone; check that both do the same."""
    ours = Program(*options, "-m", "trio_wsarecv", "run", *command, stdin=stdin, cwd=cwd)
    plain = Program(*options, *command, stdin=stdin, cwd=cwd)
    run(ours, plain)
    assert (ours.status, ours.stdout) == (plain.status, plain.stdout), ours.stderr
    return ours, plain


def program_in(folder: Path, source: str, name: str = "program.py") -> str:
    """Write a program into a folder, and return its path."""
    path = folder / name
    path.write_text(source)
    return str(path)


def test_a_program_has_the_same_output_and_receives_overlapped() -> None:
    ours, plain = Program("counted.py", "run", "two_runs.py"), Program("two_runs.py")
    run(ours, plain)
    assert (ours.status, ours.stdout) == (0, plain.stdout) != (0, "")
    statistics = ast.literal_eval(ours.stderr)
    if on_windows:
        # One socket has an engine in a second run.
        counted = (statistics["overlapped_sockets"], statistics["readiness_sockets"])
        assert counted == (3, 1)
        assert statistics["wsarecv_calls"] >= statistics["pended"] > 0
        assert statistics["failed"] == 0
    else:
        assert not any(statistics.values())


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("import atexit, sys; atexit.register(print, 'atexit'); sys.exit(3)", 3, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("here is an error", 1, "SyntaxError"),
        ("import sys; sys.excepthook = lambda *_: print('hooked'); 1 / 0", 1, ""),
    ],
    ids=["status", "exception", "syntax error", "excepthook"],
)
def test_a_program_ends_as_under_python(
    source: str, status: int, words: str, tmp_path: Path
) -> None:
    ours, plain = ran_both_ways(program_in(tmp_path, source))
    assert (ours.status, ours.stderr) == (status, plain.stderr)
    assert words in ours.stderr


def test_the_traceback_of_a_module_begins_with_the_module(tmp_path: Path) -> None:
    program_in(tmp_path, "import there_is_no_such_module")
    ours, plain = ran_both_ways("-m", "program", cwd=tmp_path)
    # Plain Python shows the lines of runpy, too.
    first, *own = ours.stderr.splitlines(keepends=True)
    assert plain.stderr.startswith(first)
    assert plain.stderr.endswith("".join(own))
    assert len(own) == 3
    assert "program.py" in own[0]


@pytest.mark.parametrize(
    "command",
    [
        ("inspects.py", "one", "--two", "-m"),
        ("package",),
        ("-m", "package", "three"),
        ("-minspects", "run"),
        ("-c", INSPECTS, "one", "-m"),
        ("-", "one", "-v"),
    ],
    ids=lambda command: " ".join(command).partition("\n")[0],
)
def test_the_environment_of_a_program_is_that_of_python(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "package").mkdir()
    for name, copy in (("inspects", "__main__"), ("sibling", "sibling"), ("__init__", "__init__")):
        shutil.copy(PROGRAMS / f"{name}.py", tmp_path / "package" / f"{copy}.py")
    stdin, rest = (INSPECTS, "") if command[0] == "-" else ("input", "input")
    ours, plain = ran_both_ways(*command, stdin=stdin.encode(), cwd=tmp_path)
    assert plain.stdout.splitlines()[-2] == f"stdin {rest}", plain.stderr
    assert ours.stderr == plain.stderr + WARNING


def test_code_may_be_indented_and_fail() -> None:
    ours = ran("-c", "\n    def f(): 1 / 0\n    f()")
    plain = Program("-c", "\ndef f(): 1 / 0\nf()")
    plain.end()
    assert (ours.status, ours.stdout) == (plain.status, plain.stdout)
    assert ours.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert ours.stderr.count("File") == plain.stderr.count("File") == 2


def test_a_script_may_have_the_name_of_an_option(tmp_path: Path) -> None:
    program_in(tmp_path, "import sys; print(sys.argv); sys.exit()", name="-m")
    ours = ran("--", "-m", "-x", cwd=tmp_path)
    assert (ours.status, ours.stdout) == (0, "['-m', '-x']\n")
    assert ours.stderr == WARNING


def test_a_missing_program_is_reported_in_one_line_as_by_python() -> None:
    script, module = ran("nowhere.py"), ran("-m", "nowhere")
    assert (script.status, script.stdout, module.status, module.stdout) == (2, "", 1, "")
    reason = (
        f"can't open file {str(PROGRAMS / 'nowhere.py')!r}: [Errno 2] No such file or directory"
    )
    assert script.stderr == f"{sys.executable}: {reason}\n"
    assert module.stderr == f"{sys.executable}: No module named nowhere\n"


def test_every_trio_socket_of_a_program_is_of_this_package_unless_it_is_turned_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = ran("kind.py")
    assert ours.stdout.split() == (["trio_wsarecv"] if on_windows else ["trio"]) * 4
    assert (ours.status, ours.stderr) == (0, "")
    monkeypatch.setenv("TRIO_WSARECV", "0")
    ours = ran("--verbose", "kind.py")
    assert ours.stdout.split() == ["trio"] * 4
    off = "off: TRIO_WSARECV=0 in the environment" if on_windows else OFF
    assert ours.stderr == f"trio_wsarecv: process {ours.pid}: {off}\n"


def test_verbose_reports_at_the_end_how_many_receives_used_which_engine() -> None:
    ours = ran("-v", "two_runs.py")
    report = re.fullmatch(r"trio_wsarecv: process (\d+): (.+)\n", ours.stderr)
    assert report, ours.stderr
    assert (ours.status, report[1]) == (0, str(ours.pid))
    if on_windows:
        assert re.fullmatch(r"[1-9]\d* receives overlapped, [1-9]\d* by readiness", report[2])
    else:
        assert report[2] == OFF


@pytest.mark.parametrize("value", ["1", None])
def test_the_pth_file_of_the_recipe_turns_it_on_by_the_environment_variable(
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
    # As Python does at start with its site-packages.
    code = f"import site; site.addsitedir({str(tmp_path)!r})\n"
    child = Program("-c", code + (PROGRAMS / "kind.py").read_text())
    child.end()
    assert (child.status, child.stderr) == (0, "")
    assert set(child.stdout.split()) == {"trio_wsarecv" if on_windows and value == "1" else "trio"}


@pytest.mark.parametrize(
    "command",
    [
        ("-v", "-c", ""),
        # The sockets may be made in the other process.
        ("-c", "from multiprocessing import *; get_context('spawn').Process().start()"),
    ],
    ids=["verbose", "workers"],
)
def test_no_warning_is_written_beside_a_report_or_if_there_are_workers(
    command: tuple[str, ...],
) -> None:
    ours = ran(*command)
    assert ours.status == 0
    assert "made no Trio socket" not in ours.stderr


def test_verbose_is_passed_on_to_worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: list[object] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    monkeypatch.setattr(spawn, "get_preparation_data", spawn.get_preparation_data)
    try:
        patch_trio_and_workers(verbose=True)
        if on_windows:
            told = spawn.get_preparation_data("a worker")["trio_wsarecv"]
            pickle.loads(pickle.dumps(told))  # as a worker does at start
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
    ours, _ = ran_both_ways(*program, options=["-P"])
    assert (ours.status, ours.stdout) != (0, "")
