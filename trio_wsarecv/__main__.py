"""The command line: ``python -m trio_wsarecv``."""

from __future__ import annotations

import sys

from ._run import run_module, run_script

USAGE = """\
usage: python -m trio_wsarecv run SCRIPT [ARGS...]
       python -m trio_wsarecv run -m MODULE [ARGS...]

Run a Trio program, unmodified, with its receives overlapped.
"""


def main(arguments: list[str]) -> int:
    """Carry out the command that the arguments give."""
    match arguments:
        case ["run", "-m", name, *rest]:
            run_module(name, rest)
        case ["run", script, *rest] if not script.startswith("-"):
            run_script(script, rest)
        case ["-h" | "--help"] | ["run", "-h" | "--help"]:
            print(USAGE, end="")
        case _:
            print(USAGE, end="", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
