"""The commands of ``python -m trio_wsarecv``."""

from __future__ import annotations

import os
import sys
from typing import Final

from .._winsock.calls import text_of

PROGRAM: Final = "python -m trio_wsarecv"


class CommandError(Exception):
    """Ends a command with a message of one line."""


def say(text: str) -> None:
    """Write to the standard output.

    Raises:
      CommandError: it cannot be written.
    """
    try:
        print(text, flush=True)
    except OSError as exc:
        silence_stdout()
        raise output_error("<stdout>", exc) from exc


def silence_stdout() -> None:
    """Keep the rest of the standard output's buffer from failing again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def output_error(name: str, error: OSError) -> CommandError:
    """Return the error that ends a command that cannot write to a file."""
    return CommandError(f"Could not write to file {name!r}: {error.strerror}")


def reason_of(error: OSError) -> str:
    """Return the text of a socket's error, on Windows with Winsock's text or the code's name.

    Trio takes the text from the C library, which does not know the errors of Winsock.
    """
    text = str(error)
    if sys.platform == "win32" and (code := error.winerror or error.errno):
        for unknown in (os.strerror(code), f"Windows Error 0x{code:x}"):
            text = text.replace(unknown, text_of(code))
    return text
