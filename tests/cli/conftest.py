"""Commands of ``python -m trio_wsarecv`` that are run in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from trio_wsarecv.__main__ import main


class Result(NamedTuple):
    """How a command has ended, and what it has written."""

    status: int
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


def status_of(*arguments: str) -> int:
    """Run a command, and return its exit status."""
    with pytest.raises(SystemExit) as exit_:
        sys.exit(main(arguments))
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """A function that runs a command."""

    def run(*arguments: str) -> Result:
        return Result(status_of(*arguments), *capsys.readouterr())

    return run
