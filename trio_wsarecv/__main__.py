"""The command line: ``python -m trio_wsarecv``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from ._cli import say
from ._cli.run import run_module, run_script
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM: Final = "python -m trio_wsarecv"
# Quoted, because brackets are a pattern in some shells.
INSTALL_TOOLS: Final = 'pip install "trio_wsarecv[cli]"'
USAGE: Final = f"""\
Usage: {PROGRAM} run [--verbose] SCRIPT [ARGS...]
       {PROGRAM} run [--verbose] -m MODULE [ARGS...]
       {PROGRAM} doctor [--json]
       {PROGRAM} receive [OPTIONS] HOST PORT
       {PROGRAM} --version

run      run a Trio program, unmodified, with overlapped receives; with --verbose, report
         at its end how many there were
doctor   check whether each kind of socket uses overlapped receives here; if not, say why
receive  connect, receive until the peer closes the connection, and report; needs the extra:
         {INSTALL_TOOLS}

With TRIO_WSARECV=0 in the environment, run only runs the program."""


def main(arguments: Sequence[str]) -> int:
    """Carry out the command that the arguments give, and return the exit status."""
    match arguments:
        case ["-h" | "--help"] | ["run" | "doctor", "-h" | "--help"]:
            say(USAGE)
        case ["--version"]:
            say(f"trio_wsarecv {__version__}")
        case ["run", "--verbose", *rest]:
            return _run(rest, verbose=True)
        case ["run", *rest]:
            return _run(rest, verbose=False)
        case ["doctor"] | ["doctor", "--json"]:
            from ._cli.doctor import doctor

            return doctor(as_json=len(arguments) > 1)
        case ["doctor", "--json", other, *_] | ["doctor", other, *_]:
            return _refuse(_surplus(other))
        case ["receive", *rest]:
            return _receive(rest)
        case [command, *_]:
            kind = "option" if command.startswith("-") else "command"
            return _refuse(f"No such {kind} '{command}'.")
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    return 0


def _run(arguments: Sequence[str], *, verbose: bool) -> int:
    match arguments:
        case ["-m", name, *rest]:
            run_module(name, rest, verbose=verbose)
        case ["-m"]:
            return _refuse("Option '-m' requires an argument.")
        case ["--", script, *rest]:
            run_script(script, rest, verbose=verbose)
        case [] | ["--"]:
            return _refuse("Missing argument 'SCRIPT'.")
        case _:
            script, *rest = arguments
            if script.startswith("-"):
                return _refuse(f"No such option '{script}'.")
            run_script(script, rest, verbose=verbose)
    return 0


def _receive(arguments: Sequence[str]) -> int:
    try:
        from ._cli.receive import receive
    except ModuleNotFoundError as exc:
        print(f"Error: receive needs {exc.name}: {INSTALL_TOOLS}", file=sys.stderr)
        return 1
    sys.exit(receive.main(arguments, prog_name=f"{PROGRAM} receive"))


def _surplus(argument: str) -> str:
    # In click's words.
    if argument.startswith("-"):
        return f"No such option '{argument}'."
    return f"Got unexpected extra argument ({argument})."


def _refuse(reason: str) -> int:
    print(f"Error: {reason} Try '{PROGRAM} --help' for help.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
