"""``python -m trio_wsarecv receive``: the example of the ``WSARecv`` documentation, as a tool."""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final

import click
import rich.console
import rich.progress
import trio

from .._statistics import statistics
from .._tcp import open_tcp_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Buffer

    from .._stream import SocketStream

_BUFFER_SIZE: Final = 256 * 1024
_INTERRUPTED: Final = 130  # the shells' convention: 128 and the number of SIGINT
_REPORT: Final = (
    "{bytes} bytes in {seconds:.3f} s, {receives} receives: "
    "{immediate} immediate, {pended} after waiting; {ended}"
)


@contextmanager
def progress_bar() -> Iterator[Callable[[int], None]]:
    """Show how much has been received, on a terminal; yield a function that adds to it."""
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


async def receive_all(
    stream: SocketStream, output: IO[bytes] | None, report: dict[str, Any]
) -> None:
    """Receive until the peer closes the connection; count the bytes as they come."""
    buffer = bytearray(_BUFFER_SIZE)
    _write(output, b"")  # which makes the file even if nothing comes
    with progress_bar() as advance:
        while received := await stream.receive_into(buffer):
            report["bytes"] += received
            _write(output, memoryview(buffer)[:received])
            advance(received)


def _write(output: IO[bytes] | None, data: Buffer) -> None:
    """Write to the output and flush, so that slow data shows immediately."""
    if output is None:
        return
    try:
        output.write(data)
        output.flush()
    except OSError as exc:
        with suppress(OSError):
            output.close()  # or click would fail with what is still in the file's buffer
        raise click.ClickException(
            f"Could not write to file {output.name!r}: {exc.strerror}"
        ) from exc


@click.command()
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
@click.option("--send", metavar="TEXT", help="Send this first; \\r and \\n are understood.")
@click.option("--output", type=click.File("wb"), help="Write the data to this file; - is stdout.")
@click.option(
    "--timeout",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=math.inf,
    help="Stop after this time, and report.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
def receive(
    host: str,
    port: int,
    send: str | None,
    output: IO[bytes] | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Connect to HOST and PORT, receive until the peer closes the connection, and report.

    The report goes to the standard error stream, and so does a progress bar if that is a
    terminal.

    Exit status: 0 if the peer closed the connection; 1 if there was no connection, it broke,
    the timeout expired, or the output could not be written; 130 after Control-C.
    """
    ended, status = "closed", 0
    report: dict[str, Any] = {"bytes": 0, "seconds": 0.0}
    before = statistics()
    try:
        trio.run(_connect_and_receive, host, port, send, output, seconds, report)
    except trio.TooSlowError:
        ended, status = "timed out", 1
    except (OSError, trio.BrokenResourceError) as exc:
        raise click.ClickException(f"{host} port {port}: {_reason(exc)}") from exc
    except BaseException as exc:
        if not _is_interrupt(exc):
            raise
        ended, status = "interrupted", _INTERRUPTED
    after = statistics()
    report["immediate"] = after.immediate - before.immediate
    report["pended"] = after.pended - before.pended
    report["receives"] = report["immediate"] + report["pended"]
    report["ended"] = ended
    click.echo(json.dumps(report) if as_json else _REPORT.format(**report), err=True)
    sys.exit(status)


async def _connect_and_receive(
    host: str,
    port: int,
    send: str | None,
    output: IO[bytes] | None,
    seconds: float,
    report: dict[str, Any],
) -> None:
    with trio.fail_after(seconds):
        async with await open_tcp_stream(host, port) as stream:
            started = time.perf_counter()
            try:
                if send is not None:
                    text = send.replace("\\r", "\r").replace("\\n", "\n")
                    await stream.send_all(text.encode())
                await receive_all(stream, output, report)
            finally:
                report["seconds"] = time.perf_counter() - started


def _is_interrupt(error: BaseException) -> bool:
    # While Trio connects, it may raise it in a group.
    parts: Sequence[BaseException] = getattr(error, "exceptions", ())
    return isinstance(error, KeyboardInterrupt) or any(map(_is_interrupt, parts))


def _reason(error: BaseException) -> str:
    # Trio groups the errors of all addresses; the last one is reported.
    cause = error.__cause__
    while errors := getattr(cause, "exceptions", None):
        cause = errors[-1]
    text = str(cause or error)
    if sys.platform == "win32" and isinstance(cause, OSError) and cause.errno:
        # Trio asks the C library, which does not know the errors of Winsock.
        text = text.replace(os.strerror(cause.errno), ctypes.FormatError(cause.errno))
    return text
