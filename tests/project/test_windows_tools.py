"""The scripts for real Windows run under Wine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.programs import Program
from tools.windows import WINE

pytestmark = [pytest.mark.windows, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
TOOLS = REPOSITORY / "tools" / "windows"


def output(script: str, *arguments: str) -> list[str]:
    program = Program("-X", "utf8", str(TOOLS / script), *arguments)
    program.end()
    assert (program.status, program.stderr) == (0, "")
    return program.stdout.splitlines()


def test_the_script_answers_every_open_question() -> None:
    lines = output("answers.py")
    asked = [line for line in lines if re.match(r"[ !] \S", line)]
    assert len(asked) == len([line for line in lines if "seen" in line]) == 11
    if WINE:  # which sends no ancillary data
        assert {line for line in asked if line.startswith("!")} <= {"! IP_PKTINFO", "! IP_ECN"}


def test_every_open_question_is_in_the_limitations() -> None:
    limitations = (REPOSITORY / "docs" / "limitations.rst").read_text(encoding="utf-8")
    questions = re.findall(r'^    \("([^":]+)', (TOOLS / "answers.py").read_text("utf-8"), re.M)
    assert len(questions) == 11
    for question in questions:
        assert re.search(rf"^   \* - {question}$", limitations, re.MULTILINE), question


def test_the_memory_of_posted_receives_is_measured() -> None:
    header, *rows = output("posted.py", "5", "1")
    assert header.startswith("subject\t")
    assert len(rows) == 17
