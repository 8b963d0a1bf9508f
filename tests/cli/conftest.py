"""Commands of ``python -m trio_wsarecv`` that are run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from trio_wsarecv.__main__ import main


class Result(NamedTuple):
    """How a command has ended, and what it has written."""

    status: object
    out: str
    err: str

    @property
    def report(self) -> Any:
        """What it has written as JSON."""
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The only line of its standard error."""
        (line,) = self.err.splitlines()
        return line


Command = Callable[..., Result]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """A function that runs a command."""

    def run(*arguments: str) -> Result:
        try:
            status: object = main(arguments)
        except SystemExit as exc:
            status = exc.code
        return Result(status, *capsys.readouterr())

    return run
