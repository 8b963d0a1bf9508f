"""What runs in the Debian ends with us and leaves nothing mounted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

assert sys.platform != "win32"

from .children import child, remaining  # noqa: E402
from .debian import ISOLATED, run  # noqa: E402

# In a container, root may not have namespaces of its own.
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.call([*ISOLATED, "true"], stderr=subprocess.DEVNULL) != 0,
    reason="needs root, and permission to mount",
)

PROGRAM = """
import pathlib, sys
from tools import debian
debian.run(pathlib.Path("/"), "echo started; sleep 99; : " + sys.argv[1], 30)
"""


def mounted() -> str:
    return Path("/proc/self/mounts").read_text()


def test_the_folder_is_the_root_of_a_script_whose_exit_status_is_returned(tmp_path: Path) -> None:
    before = mounted()
    assert run(Path("/"), "exit 7", 30) == 7
    assert run(Path("/"), "false; exit 7", 30) == 1
    for name in ("dev", "proc", "sys", "bin"):
        (tmp_path / name).mkdir()
    assert run(tmp_path, "", 30) == 127  # there is no shell
    assert not any((tmp_path / "proc").iterdir())
    assert mounted() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_when_we_are_interrupted(number: int) -> None:
    before, marker = mounted(), uuid.uuid4().hex
    command = [sys.executable, "-c", PROGRAM, marker]
    with child(command, 30, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.wait() != 0
        process.stdout.close()
    assert remaining(marker) == []
    assert mounted() == before
