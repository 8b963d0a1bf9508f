"""What a Debian in a folder is told of this machine."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

assert sys.platform != "win32"

from . import settings  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


def test_proxies_certificates_and_indexes_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = {
        "http_proxy": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "localhost",
        "PIP_INDEX_URL": "https://index/simple",
        "UV_INDEX_URL": "https://index/simple",
        "SSL_CERT_FILE": "/certificates.pem",
        "REQUESTS_CA_BUNDLE": "/certificates.pem",
    }
    others = {"HOME": "/home/me", "VIRTUAL_ENV": "/venv", "PYTHONPATH": "/", "XDG_CACHE_HOME": "/c"}
    for name, value in {**passed, **others}.items():
        monkeypatch.setenv(name, value)
    environ = settings.environ()
    assert environ.items() >= passed.items()
    assert environ["HOME"] == "/root"
    assert not environ.keys() & (others.keys() - {"HOME"})


@pytest.mark.skipif(not shutil.which("apt-config"), reason="no Debian")
def test_a_file_that_a_variable_names_is_copied_to_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificates, root = tmp_path / "certificates.pem", tmp_path / "root"
    certificates.write_text("mine")
    (root / "etc/apt/apt.conf.d").mkdir(parents=True)
    monkeypatch.setenv("PIP_CERT", str(certificates))
    for _ in range(2):
        settings.copy(root)
    assert (root / certificates.relative_to("/")).read_text() == "mine"
    assert (root / "etc/hosts").read_bytes()
