"""No setting is left without something that it applies to."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

REPOSITORY = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = tomllib.loads(
    (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
)["tool"]

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / ".github").exists(), reason="only a clone has all settings"
)


def test_files_in_git_attributes_exist() -> None:
    for line in (REPOSITORY / ".gitattributes").read_text(encoding="utf-8").splitlines():
        assert list(REPOSITORY.glob(line.split()[0])), line


def test_every_marker_is_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in REPOSITORY.glob("t*s/**/*.py"))
    for marker in SETTINGS["pytest"]["markers"]:
        name = re.split(r"[:(]", marker)[0]
        assert re.search(rf"^(@| +|pytestmark = )pytest\.mark\.{name}\b", text, re.MULTILINE), name


def test_github_runs_every_default_session() -> None:
    (sessions,) = re.findall(
        r"sessions = \[(.+?)\]\n",
        (REPOSITORY / "noxfile.py").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    workflow = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"session: \[(\w+,.+)\]", workflow)
    there = {*matrix.split(", "), *re.findall(r"--session (\w+) (\w+)", workflow)[0]}
    assert there == set(re.findall(r'"([\w-]+)"', sessions))


@pytest.mark.skipif(not shutil.which("ruff"), reason="nox -s lint has ruff, and runs this")
def test_every_ignored_rule_of_ruff_would_find_something() -> None:
    ignored = SETTINGS["ruff"]["lint"]["ignore"]
    command = ["ruff", "check", "--output-format=concise", f"--extend-select={','.join(ignored)}"]
    found = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True).stdout
    assert set(ignored) == set(re.findall(r": ([A-Z]+\d+) ", found))
