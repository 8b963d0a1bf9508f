"""The command line: ``python -m trio_wsarecv``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from ._cli import PROGRAM, CommandError, say
from ._cli.run import run_code, run_module, run_script, run_standard_input
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE: Final = f"""\
Usage: {PROGRAM} run [-v] SCRIPT [ARGS...]
       {PROGRAM} run [-v] -m MODULE [ARGS...]
       {PROGRAM} run [-v] -c CODE [ARGS...]
       {PROGRAM} run [-v] - [ARGS...]
       {PROGRAM} doctor [--json]
       {PROGRAM} receive [OPTIONS] HOST PORT
       {PROGRAM} --version

run      run a Trio program, unmodified, with overlapped receives; with -v (--verbose), report
         at its end how many there were; - reads the program from the standard input
doctor   check whether each kind of socket uses overlapped receives here, and why if not
receive  connect, receive until the peer closes the connection, and report

With TRIO_WSARECV=0 (or false, no, off) in the environment, run only runs the program."""


def main(arguments: Sequence[str]) -> int:
    """Run the command given by the arguments, and return the exit status."""
    try:
        return _carry_out(arguments)
    except CommandError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 1


def _carry_out(arguments: Sequence[str]) -> int:
    match arguments:
        case ["-h" | "--help"] | ["run" | "doctor", "-h" | "--help"]:
            say(USAGE)
        case ["--version"]:
            say(f"trio_wsarecv {__version__}")
        case ["run", "-v" | "--verbose", *rest]:
            return _run(rest, verbose=True)
        case ["run", *rest]:
            return _run(rest, verbose=False)
        case ["doctor"] | ["doctor", "--json"]:
            from ._cli.doctor import doctor

            return doctor(as_json=len(arguments) > 1)
        case ["doctor", "--json", other, *_] | ["doctor", other, *_]:
            return _refuse(_surplus(other))
        case ["receive", *rest]:
            from ._cli.receive import receive

            return receive(rest)
        case [command, *_]:
            kind = "option" if command.startswith("-") else "command"
            return _refuse(f"No such {kind} '{command}'.")
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    return 0


def _run(arguments: Sequence[str], *, verbose: bool) -> int:
    match arguments:
        case ["-m" | "-c" as option]:
            return _refuse(f"Option '{option}' requires an argument.")
        case ["-m", name, *rest]:
            run_module(name, rest, verbose=verbose)
        case ["-c", code, *rest]:
            run_code(code, rest, verbose=verbose)
        case [option, *rest] if option.startswith(("-m", "-c")):
            return _run([option[:2], option[2:], *rest], verbose=verbose)
        case ["-", *rest]:
            run_standard_input(rest, verbose=verbose)
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


def _surplus(argument: str) -> str:
    if argument.startswith("-"):
        return f"No such option '{argument}'."
    return f"Got unexpected extra argument ({argument})."


def _refuse(reason: str) -> int:
    print(f"Error: {reason} Try '{PROGRAM} --help' for help.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
