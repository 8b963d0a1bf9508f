"""``python -m trio_wsarecv receive``: the example of the ``WSARecv`` documentation, as a tool."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import trio

from .._statistics import statistics
from .._tcp import open_tcp_stream
from . import PROGRAM, CommandError, output_error, reason_of, say, silence_stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Buffer

    from .._stream import SocketStream

_BUFFER_SIZE: Final = 256 * 1024
_INTERRUPTED: Final = 130  # the shells' convention: 128 and the number of SIGINT
_NO_CONNECTION: Final = "not connected"
_DESCRIPTION: Final = "Connect to HOST and PORT, receive until the peer closes, and report."
_EPILOG: Final = """\
The report goes to the standard error stream; as JSON it goes to the standard output, unless the
data goes there. A terminal shows the progress if rich is installed, as by the extra cli.

Exit status: 0 if the peer closed the connection; 1 if there was no connection, it broke, the
timeout expired, or the output could not be written; 130 after Control-C."""


@contextmanager
def progress_bar() -> Iterator[Callable[[int], None]]:
    """Show how much has been received, on a terminal; yield a function that adds to it."""
    try:
        import rich.console
        import rich.progress
    except ModuleNotFoundError:
        yield lambda nbytes: None
        return
    console = rich.console.Console(stderr=True)
    if not console.is_terminal:
        yield lambda nbytes: None
        return
    columns = (
        rich.progress.SpinnerColumn(),
        rich.progress.FileSizeColumn(),
        rich.progress.TransferSpeedColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("receive", total=None)

        def advance(nbytes: int) -> None:
            progress.advance(task, nbytes)

        yield advance


@contextmanager
def open_output(name: str | None) -> Iterator[Callable[[Buffer], None]]:
    """Open a file, - for the standard output; yield a function that writes to it.

    It flushes, too, so that slow data shows immediately.
    """
    if name is None:
        yield lambda data: None
        return
    is_stdout = name == "-"
    try:
        file = sys.stdout.buffer if is_stdout else open(name, "wb")  # noqa: SIM115
    except OSError as exc:
        raise output_error(name, exc) from exc

    def write(data: Buffer) -> None:
        try:
            file.write(data)
            file.flush()
        except OSError as exc:
            if is_stdout:
                silence_stdout()
            raise output_error("<stdout>" if is_stdout else name, exc) from exc

    try:
        yield write
    finally:
        if not is_stdout:
            with suppress(OSError):  # of what is in its buffer after an error
                file.close()


async def receive_all(
    stream: SocketStream, write: Callable[[Buffer], None], report: dict[str, Any]
) -> None:
    """Receive until the peer closes the connection; count the bytes as they come."""
    buffer = bytearray(_BUFFER_SIZE)
    with progress_bar() as advance:
        while received := await stream.receive_into(buffer):
            report["bytes"] += received
            write(memoryview(buffer)[:received])
            advance(received)


def receive(arguments: Sequence[str]) -> int:
    """Connect, receive until the peer closes the connection, and report.

    Returns:
      The exit status.
    """
    options = _parse(arguments)
    report: dict[str, Any] = {"bytes": 0, "seconds": 0.0, "ended": _NO_CONNECTION, "error": None}
    before, status = statistics(), 0
    try:
        trio.run(_connect_and_receive, options, report)
    except trio.TooSlowError:
        report["ended"], status = "timed out", 1
    except (OSError, trio.BrokenResourceError) as exc:
        report["error"] = f"{options.host} port {options.port}: {_reason(exc)}"
    except CommandError as exc:
        report["error"] = str(exc)
    except BaseException as exc:
        if not _is_interrupt(exc):
            raise
        report["ended"], status = "interrupted", _INTERRUPTED
    after = statistics()
    report["immediate"] = after.immediate - before.immediate
    report["pended"] = after.pended - before.pended
    report["receives"] = report["immediate"] + report["pended"]
    if options.json and options.output != "-":
        say(json.dumps(report))
    elif options.json or report["ended"] != _NO_CONNECTION:
        print(json.dumps(report) if options.json else _in_words(report), file=sys.stderr)
    if report["error"]:
        raise CommandError(report["error"])
    return status


def _in_words(report: dict[str, Any]) -> str:
    return (
        f"{_count(report['bytes'], 'byte')} in {report['seconds']:.3f} s, "
        f"{_count(report['receives'], 'receive')}: {report['immediate']} immediate, "
        f"{report['pended']} after waiting; {report['ended']}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"Error: {message}. Try '{self.prog} --help' for help.", file=sys.stderr)
        sys.exit(2)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        f"{PROGRAM} receive",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("port", metavar="PORT", type=_port)
    add = parser.add_argument
    add("--send", metavar="TEXT", help=r"send this first; \r and \n are understood")
    add("--output", metavar="FILE", help="write the data to this file; - is the standard output")
    limit = "stop after this time, and report"
    add("--timeout", metavar="SECONDS", type=_seconds, default=math.inf, help=limit)
    add("--json", action="store_true", help="report as one JSON object")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 65535")
    return number


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if (seconds := float(text)) > 0:  # which NaN is not
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


async def _connect_and_receive(options: argparse.Namespace, report: dict[str, Any]) -> None:
    with trio.fail_after(options.timeout):
        async with await open_tcp_stream(options.host, options.port) as stream:
            started = time.perf_counter()
            report["ended"] = "broken"
            try:
                with open_output(options.output) as write:
                    if options.send is not None:
                        text = options.send.replace("\\r", "\r").replace("\\n", "\n")
                        await stream.send_all(text.encode())
                    await receive_all(stream, write, report)
                report["ended"] = "closed"
            finally:
                report["seconds"] = time.perf_counter() - started


def _is_interrupt(error: BaseException) -> bool:
    # While Trio connects, it may raise it in a group.
    parts: Sequence[BaseException] = getattr(error, "exceptions", ())
    return isinstance(error, KeyboardInterrupt) or any(map(_is_interrupt, parts))


def _reason(error: BaseException) -> str:
    # Trio groups the errors of all addresses; the last one is reported.
    cause = error.__cause__ or error
    while errors := getattr(cause, "exceptions", None):
        cause = errors[-1]
    return reason_of(cause) if isinstance(cause, OSError) else str(error)
