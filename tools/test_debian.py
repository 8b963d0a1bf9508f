"""What runs in the Debian ends with us and leaves nothing mounted; it has our settings."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

assert sys.platform != "win32"

from .children import child, remaining  # noqa: E402
from .debian import ISOLATED, copy_settings, environ, run  # noqa: E402

# In a container, root may not have namespaces of its own.
isolated = pytest.mark.skipif(
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


@isolated
def test_the_folder_is_the_root_of_a_script_whose_exit_status_is_returned(tmp_path: Path) -> None:
    before = mounted()
    assert run(Path("/"), "exit 7", 30) == 7
    assert run(Path("/"), "false; exit 7", 30) == 1
    for name in ("dev", "proc", "sys", "bin"):
        (tmp_path / name).mkdir()
    assert run(tmp_path, "", 30) == 127  # there is no shell
    assert not any((tmp_path / "proc").iterdir())
    assert mounted() == before


@isolated
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


@pytest.mark.skipif(not shutil.which("apt-config"), reason="no Debian")
def test_proxies_certificates_and_indexes_are_passed_on_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificates, root = tmp_path / "certificates.pem", tmp_path / "root"
    certificates.write_text("mine")
    (root / "etc/apt/apt.conf.d").mkdir(parents=True)
    passed = {"HTTPS_PROXY": "http://proxy", "PIP_INDEX_URL": "https://index/simple"}
    passed["REQUESTS_CA_BUNDLE"] = str(certificates)
    for name, value in {**passed, "VIRTUAL_ENV": "/venv", "HOME": "/home/me"}.items():
        monkeypatch.setenv(name, value)
    variables = environ()
    assert variables.items() >= {**passed, "HOME": "/root"}.items()
    assert "VIRTUAL_ENV" not in variables
    copy_settings(root)
    assert (root / certificates.relative_to("/")).read_text() == "mine"
    assert (root / "etc/hosts").read_bytes()
