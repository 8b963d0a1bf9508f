"""The command line: ``python -m trio_wsarecv``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ._cli.run import run_module, run_script

if TYPE_CHECKING:
    from collections.abc import Sequence

# Quoted, for to some shells the brackets are a pattern.
INSTALL_TOOLS = 'pip install "trio_wsarecv[cli]"'
USAGE = f"""\
usage: python -m trio_wsarecv run SCRIPT [ARGS...]
       python -m trio_wsarecv run -m MODULE [ARGS...]
       python -m trio_wsarecv doctor [--json]
       python -m trio_wsarecv receive [OPTIONS] HOST PORT

run      run a Trio program, unmodified, with its receives overlapped
doctor   say which engine receives on each kind of socket here, and why
receive  connect, receive until the peer closes the connection, and report

doctor and receive tell more with --help, and need the extra: {INSTALL_TOOLS}
"""


def main(arguments: Sequence[str]) -> int:
    """Carry out the command that the arguments give, and return the exit status."""
    match arguments:
        case ["run", "-m", name, *rest]:
            run_module(name, rest)
        case ["run", script, *rest] if not script.startswith("-"):
            run_script(script, rest)
        case ["doctor" | "receive" as command, *rest]:
            return _run_tool(command, rest)
        case ["-h" | "--help"] | ["run", "-h" | "--help"]:
            print(USAGE, end="")
        case _:
            print(USAGE, end="", file=sys.stderr)
            return 2
    return 0


def _run_tool(command: str, arguments: Sequence[str]) -> int:
    try:
        from ._cli.doctor import doctor
        from ._cli.receive import receive
    except ModuleNotFoundError as exc:
        print(f"{command} needs {exc.name}: {INSTALL_TOOLS}", file=sys.stderr)
        return 1
    tool = {"doctor": doctor, "receive": receive}[command]
    sys.exit(tool.main(arguments, prog_name=f"python -m trio_wsarecv {command}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
