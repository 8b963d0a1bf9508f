"""The programs that the documentation shows, run as a reader would run them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import trio_wsarecv

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"

PRINTED = {
    "echo": "b'hello'\n",
    "tls": "b'hello'\n",
    "messages": "b'still there?'\nb'HELLO'\n",
    "shout": "b'HELLO'\nb'TOO LONG'\n",
}


@pytest.mark.deadline(20)
@pytest.mark.parametrize("name", PRINTED)
async def test_prints_what_the_tutorial_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = trio_wsarecv.statistics()

    await runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()

    assert capsys.readouterr().out == PRINTED[name]
    after = trio_wsarecv.statistics()
    assert after.bytes > before.bytes
    if sys.platform == "win32":
        assert after.overlapped_sockets > before.overlapped_sockets
        assert after.readiness_sockets == before.readiness_sockets
