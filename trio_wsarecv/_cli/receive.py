"""``python -m trio_wsarecv receive``: the example of the ``WSARecv`` documentation, as a tool."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

import click
import rich.console
import rich.progress
import trio

from .._statistics import statistics
from .._tcp import open_tcp_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from .._stream import SocketStream

_BUFFER_SIZE: Final = 256 * 1024


@contextmanager
def progress_bar() -> Iterator[Callable[[int], None]]:
    """Show how much has been received, if that is for a terminal; give what to tell it with."""
    console = rich.console.Console(stderr=True)
    if not console.is_terminal:
        yield lambda nbytes: None
        return
    columns = (
        rich.progress.SpinnerColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("receive", total=None)

        def advance(nbytes: int) -> None:
            progress.advance(task, nbytes)

        yield advance


async def receive_all(
    stream: SocketStream, output: IO[bytes] | None, advance: Callable[[int], None]
) -> int:
    """Receive until the peer closes the connection; return how many bytes came."""
    buffer = bytearray(_BUFFER_SIZE)
    total = 0
    _write(output, b"")  # which makes the file, also if nothing comes
    while received := await stream.receive_into(buffer):
        _write(output, memoryview(buffer)[:received])
        advance(received)
        total += received
    return total


def _write(output: IO[bytes] | None, data: Buffer) -> None:
    """Write to the output and flush, so that slow data shows at once."""
    if output is None:
        return
    try:
        output.write(data)
        output.flush()
    except OSError as exc:
        with suppress(OSError):
            output.close()  # here, for click would fail with what is still in the file's buffer
        raise click.ClickException(
            f"Could not write to file {output.name!r}: {exc.strerror}"
        ) from exc


@click.command()
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
@click.option("--send", metavar="TEXT", help="Send this first; \\r and \\n are understood.")
@click.option("--output", type=click.File("wb"), help="Write what is received here; - is stdout.")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
def receive(
    host: str, port: int, send: str | None, output: IO[bytes] | None, as_json: bool
) -> None:
    """Connect to HOST and PORT, receive until the peer closes the connection, and report.

    The report goes to the standard error stream, and so does a progress bar if that is a
    terminal.

    Exit status: 0 if the peer closed the connection, 1 if there was none, it broke, or
    the output could not be written.
    """
    try:
        report = trio.run(_connect_and_receive, host, port, send, output)
    except (OSError, trio.BrokenResourceError) as exc:
        click.echo(f"error: {host} port {port}: {_reason(exc)}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report), err=True)
    else:
        click.echo(
            "{bytes} bytes in {seconds:.3f} s, {receives} receives: "
            "{immediate} at once, {pended} after waiting".format(**report),
            err=True,
        )


async def _connect_and_receive(
    host: str, port: int, send: str | None, output: IO[bytes] | None
) -> dict[str, float]:
    async with await open_tcp_stream(host, port) as stream:
        before = statistics()
        started = time.perf_counter()
        if send is not None:
            text = send.replace("\\r", "\r").replace("\\n", "\n")
            await stream.send_all(text.encode())
        with progress_bar() as advance:
            total = await receive_all(stream, output, advance)
        seconds = time.perf_counter() - started
        after = statistics()
    immediate, pended = after.immediate - before.immediate, after.pended - before.pended
    return {
        "bytes": total,
        "seconds": seconds,
        "receives": immediate + pended,
        "immediate": immediate,
        "pended": pended,
    }


def _reason(error: BaseException) -> str:
    # Trio groups what went wrong with each address; the last one has the last word.
    cause = error.__cause__
    while errors := getattr(cause, "exceptions", None):
        cause = errors[-1]
    text = str(cause or error)
    if sys.platform == "win32" and isinstance(cause, OSError) and cause.errno:
        # Trio asks the C library, which does not know the errors of Winsock.
        text = text.replace(os.strerror(cause.errno), ctypes.FormatError(cause.errno))
    return text
