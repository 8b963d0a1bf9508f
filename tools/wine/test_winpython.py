"""What `winpython.py` passes through, and that it leaves no process behind."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

assert sys.platform != "win32"

from tools.children import remaining  # noqa: E402

from .environment import REPOSITORY, WindowsPython, ensure  # noqa: E402
from .prefix import find_server, windows_path  # noqa: E402
from .system import Problem  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

WINPYTHON = [sys.executable, str(REPOSITORY / "tools" / "wine" / "winpython.py")]
DEADLINE = 50
#: Programs with a child, which has the same last argument.  A busy one does not notice by itself
#: that the wineserver has died.
SLEEPING_FAMILY = """
import subprocess, sys, time
code = "print('started', flush=True)\\nwhile True: pass"
subprocess.Popen([sys.executable, "-c", code, sys.argv[1]])
time.sleep(99)
"""
INTERRUPTED_FAMILY = """
import subprocess, sys, time
try:
    if sys.argv[1] != "child":
        command = [sys.executable, *sys.orig_argv[1:-1], "child", sys.argv[1]]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        child.stdout.readline()
    print("started", flush=True)
    time.sleep(99)
except KeyboardInterrupt:
    if sys.argv[1] != "child":
        sys.exit(child.wait() + 2)
    sys.exit(5)
"""


@pytest.fixture(scope="module", autouse=True)
def windows_python() -> WindowsPython:
    faulthandler.cancel_dump_traceback_later()  # setting up may take longer than any test
    try:
        return ensure()
    except Problem as problem:
        pytest.skip(str(problem))


def run(*args: str, cwd: Path | None = None, stdin: bytes = b"") -> bytes:
    """Run it, expecting success and nothing on stderr; return its stdout."""
    command = [*WINPYTHON, *args]
    result = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=DEADLINE)
    assert (result.stderr, result.returncode) == (b"", 0)
    return result.stdout


@contextmanager
def family(code: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program with a child, and check in the end that no process of it remains."""
    marker = uuid.uuid4().hex
    command = [*WINPYTHON, "-c", code, marker]
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout
        assert process.stdout.readline() == b"started\r\n"
        yield process
    assert remaining(marker) == []


def test_it_is_a_windows_python_with_the_package_and_passes_on_its_status() -> None:
    code = """
import sys, trio_wsarecv
print(sys.platform, sys.version_info[:2], "é€😀")
print("error", file=sys.stderr)
sys.exit(7)
"""
    result = subprocess.run([*WINPYTHON, "-c", code], capture_output=True, timeout=DEADLINE)
    assert result.stdout == f"win32 {sys.version_info[:2]} é€😀\r\n".encode()
    assert (result.stderr, result.returncode) == (b"error\r\n", 7)


def test_a_crash_ends_it_at_once_with_a_failure() -> None:
    code = "ctypes.windll.kernel32.CreateThread(0, 0, 16, 0, 0, 0); time.sleep(99)"
    command = [*WINPYTHON, "-c", f"import ctypes, time; {code}"]
    assert subprocess.call(command, stderr=subprocess.DEVNULL, timeout=DEADLINE) != 0


def test_all_bytes_and_arguments_are_passed_through() -> None:
    data = bytes(range(256)) * 4096 + b"\r\n\n\r\x1a"
    code = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
    assert run("-c", code, stdin=data) == data
    args = ["a b", "", "*", "é€😀", 'quo"te', "back\\", 'back\\"quote', "--flag=x y"]
    assert run("-c", "import sys; print(ascii(sys.argv[1:]))", *args) == f"{args!a}\r\n".encode()


def test_script_working_folder_and_pythonpath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "with spaces é"
    folder.mkdir()
    (tmp_path / "found_by_pythonpath.py").touch()
    (folder / "neighbour.py").write_text("import os; print(os.getcwd())")
    (folder / "script.py").write_text("import found_by_pythonpath, neighbour, trio_wsarecv")
    monkeypatch.setenv("PYTHONPATH", f"/nowhere:{tmp_path}")
    for args in (["script.py"], [str(folder / "script.py")], ["-m", "script"]):
        assert run(*args, cwd=folder) == f"{windows_path(folder)}\r\n".encode()


def test_bytes_are_copied_when_they_come_and_an_open_stdin_is_not_waited_for() -> None:
    code = "for step in range(3): print(f'{step}\\r', end='', flush=True); input()"
    with subprocess.Popen(
        [*WINPYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin
        assert process.stdout
        for step in range(3):
            assert process.stdout.read(2) == f"{step}\r".encode()
            process.stdin.write(b"\n")
        assert process.wait(DEADLINE) == 0


def test_output_is_not_lost_at_the_end_and_the_end_of_its_reader_ends_it() -> None:
    code = "import os; os.write(1, bytes(100_000))"
    with subprocess.Popen([*WINPYTHON, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)  # the program ends, and nobody has read yet
        assert len(process.stdout.read()) == 100_000
    code = "while True: print('x' * 999)"
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*WINPYTHON, "-c", code], **pipes) as process:
        assert process.stdout
        assert process.stdout.read(3) == b"xxx"
        process.stdout.close()
        assert process.wait(DEADLINE) != 0


def test_a_terminal_is_a_terminal_with_its_size() -> None:
    code = "import shutil, sys; print(sys.stdout.isatty(), *shutil.get_terminal_size())"
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    try:
        command = [*WINPYTHON, "-c", code]
        subprocess.check_call(command, stdin=subprocess.DEVNULL, stdout=its, timeout=DEADLINE)
        assert os.read(ours, 99).split() == [b"True", b"100", b"30"]
    finally:
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize(
    ("code", "number", "status"),
    [
        (SLEEPING_FAMILY, signal.SIGINT, 130),
        (SLEEPING_FAMILY, signal.SIGTERM, -signal.SIGTERM),
        (SLEEPING_FAMILY, signal.SIGKILL, -signal.SIGKILL),
        (INTERRUPTED_FAMILY, signal.SIGINT, 7),  # the program and its child answer it
    ],
)
def test_a_signal_ends_it_and_its_children(code: str, number: int, status: int) -> None:
    with family(code) as process:
        process.send_signal(number)
        assert process.wait(DEADLINE) == status


def test_the_death_of_the_wineserver_is_reported(
    windows_python: WindowsPython, tmp_path: Path
) -> None:
    own = tmp_path / "trio_wsarecv" / "wine" / windows_python.home.parent.name
    shutil.copytree(windows_python.wineprefix, own / "prefix", symlinks=True)
    (own / "python").symlink_to(windows_python.home)
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    with family(SLEEPING_FAMILY, env=environ, stderr=subprocess.PIPE) as process:
        server = find_server(own / "prefix")
        assert server
        os.kill(server, signal.SIGKILL)
        _, errors = process.communicate(timeout=DEADLINE)
        assert b"wineserver has died" in errors
        assert process.returncode == 1
