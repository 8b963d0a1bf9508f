"""However a run or the process comes to its end, with receives pending: no crash, no hang."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, stdlib_pair
from tests.programs import Program, run
from tests.simulation import CrashingClock

on_windows = sys.platform == "win32"
PROGRAM = str(Path(__file__).parent / "programs" / "exits.py")
PACKAGE = str(Path(trio_wsarecv.__file__).parent)


@pytest.mark.parametrize(
    ("how", "last_words"),
    [
        ("exception", "ValueError: the reason"),
        ("exit", "SystemExit: 5"),
        ("interrupt", "KeyboardInterrupt"),
        ("internal error", "TrioInternalError"),
    ],
)
def test_a_process_dies_of_an_exception_as_with_stock_sockets(how: str, last_words: str) -> None:
    ours, stock = Program(PROGRAM, "ours", how), Program(PROGRAM, "stock", how)
    run(ours, stock)
    assert (ours.status, ours.stdout) == (stock.status, stock.stdout) == (1, "receiving\n")
    assert last_words in ours.stderr
    assert ours.stderr.replace('"ours"', '"stock"') == stock.stderr


@pytest.mark.parametrize(
    ("how", "status", "output"),
    [
        ("os._exit", 7, "receiving\n"),
        ("daemon", 0, "receiving\nthe last line\n"),
        ("guest", 0, "receiving\nthe last line\n"),
    ],
)
def test_a_process_ends_in_silence(how: str, status: int, output: str) -> None:
    ours = Program(PROGRAM, "ours", how)
    ours.end()
    assert (ours.status, ours.stdout, ours.stderr) == (status, output, "")


def test_a_process_survives_runs_that_crash() -> None:
    ours = Program(PROGRAM, "ours", "crash")
    ours.end()
    assert ours.status == 0
    assert ours.stdout == "receiving\nValueError('the reason')\n" * 3 + "the last line\n"
    # Trio has a lot to say about the tasks that it dropped, but not of us.
    assert PACKAGE not in ours.stderr


# Of each task that it had to drop.
trio_complains = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def crash_while_receiving(*calls: Callable[[], Awaitable[object]]) -> None:
    """End a run in such a way that Trio drops its tasks where they are."""
    clock = CrashingClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(call)
            await wait_all_tasks_blocked()
            clock.crash()

    with pytest.raises(trio.TrioInternalError):
        trio.run(main, clock=clock)
    gc.collect()


@trio_complains
def test_after_a_crash_the_sockets_receive_in_the_next_run() -> None:
    with stdlib_pair() as (one, other):
        sock = trio_wsarecv.from_stdlib_socket(one)
        crash_while_receiving(lambda: sock.recv(10))
        other.sendall(b"data")

        async def main() -> None:
            assert await sock.recv(10) == b"data"
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def receive() -> None:
                    assert await sock.recv(10) == b"more"

                await wait_all_tasks_blocked()
                other.sendall(b"more")

        trio.run(main)


@trio_complains
def test_after_a_crash_the_sockets_can_be_closed() -> None:
    with stdlib_pair() as (one, other):
        with trio_wsarecv.from_stdlib_socket(one) as sock:
            crash_while_receiving(lambda: sock.recv(10))
        assert sock.fileno() == -1
        other.settimeout(10)
        assert other.recv(10) == b""


def test_closing_and_then_an_exception() -> None:
    with stdlib_pair() as (one, other):
        sock = trio_wsarecv.from_stdlib_socket(one)

        async def close_soon() -> None:
            await wait_all_tasks_blocked()
            sock.close()
            raise ZeroDivisionError

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sock.recv, 10)
                nursery.start_soon(close_soon)

        with pytest.raises(BaseException) as caught:  # noqa: PT011
            trio.run(main)
        assert not isinstance(caught.value, trio.TrioInternalError)
        other.settimeout(10)
        assert other.recv(10) == b""


@trio_complains
def test_after_a_crash_the_kernel_never_writes_into_memory_that_is_used_again() -> None:
    with stdlib_pair() as (one, other):
        buffers = [bytearray(1000)]
        crash_while_receiving(partial(trio_wsarecv.from_stdlib_socket(one).recv_into, buffers[0]))
        if on_windows:
            # The kernel may have it still; so it stays where it is.
            with pytest.raises(BufferError):
                buffers[0].extend(bytes(100_000))
        buffers.clear()
        gc.collect()
        canaries = [bytearray(b"canary" * 200) for _ in range(1000)]
        other.sendall(b"x" * 1000)
        one.setblocking(True)
        one.settimeout(10)
        assert one.recv(1) == b"x"
        assert all(canary == b"canary" * 200 for canary in canaries)


def test_a_receive_that_is_never_awaited_does_nothing() -> None:
    counted = Counted()
    with stdlib_pair() as (one, _):
        sock = trio_wsarecv.from_stdlib_socket(one)
        calls = [sock.recv(10), trio_wsarecv.SocketStream(sock).receive_some()]
        with pytest.warns(RuntimeWarning, match="never awaited"):
            calls.clear()
    assert counted.wsarecv_calls == counted.readiness_sockets == 0


class Interrupter:
    """Sends SIGINT when a given number of lines of the package have been run."""

    def __init__(self, line: int) -> None:
        self.lines_left = line

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self.lines_left -= 1
            if self.lines_left == 0:
                signal.raise_signal(signal.SIGINT)
        return self


async def recv(sock: trio_wsarecv.Socket) -> object:
    return await sock.recv(4)


async def recv_into(sock: trio_wsarecv.Socket) -> object:
    return await sock.recv_into(bytearray(4))


async def receive_some(sock: trio_wsarecv.Socket) -> object:
    return await trio_wsarecv.SocketStream(sock).receive_some()


async def receive_exactly(sock: trio_wsarecv.Socket) -> object:
    return await trio_wsarecv.SocketStream(sock).receive_exactly(4)


@pytest.mark.parametrize(
    ("receive", "wait", "warm"),
    [
        (recv, False, False),
        (recv, False, True),
        (recv, True, False),
        (recv_into, True, False),
        (receive_some, True, True),
        (receive_exactly, True, False),
        (receive_exactly, False, True),
    ],
)
def test_an_interrupt_at_any_line_is_a_keyboard_interrupt_and_nothing_worse(
    receive: Callable[[trio_wsarecv.Socket], Awaitable[object]], wait: bool, warm: bool
) -> None:
    async def main(sock: trio_wsarecv.Socket, other: socket.socket) -> None:
        if warm:
            other.sendall(b"warm")
            await trio.lowlevel.wait_readable(sock)
            assert await sock.recv(4) == b"warm"
        async with trio.open_nursery() as nursery:
            if wait:

                @nursery.start_soon
                async def send() -> None:
                    await wait_all_tasks_blocked()
                    other.sendall(b"data")

            else:
                other.sendall(b"data")
                await trio.lowlevel.wait_readable(sock)
            sys.settrace(interrupter)
            try:
                await receive(sock)
            finally:
                sys.settrace(None)

    tracer = sys.gettrace()
    line = interrupted = 0
    try:
        while True:
            line += 1
            interrupter = Interrupter(line)
            with stdlib_pair() as (one, other):
                try:
                    trio.run(main, trio_wsarecv.from_stdlib_socket(one), other)
                except BaseException as exc:
                    if not of_interrupts(exc):
                        raise
                    interrupted += 1
                else:
                    break
    finally:
        sys.settrace(tracer)
    assert interrupter.lines_left > 0
    assert interrupted == line - 1 > 10


def of_interrupts(exc: BaseException) -> bool:
    """Tell whether this is KeyboardInterrupt, or a group of nothing else."""
    parts = getattr(exc, "exceptions", None)
    return all(map(of_interrupts, parts)) if parts else isinstance(exc, KeyboardInterrupt)


@trio.lowlevel.enable_ki_protection  # threading's locks do not survive an interrupt
async def interrupt() -> None:
    await wait_all_tasks_blocked()
    await trio.to_thread.run_sync(signal.raise_signal, signal.SIGINT)


def test_an_interrupt_while_the_socket_closes() -> None:
    async def main(sock: trio_wsarecv.Socket) -> None:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                with pytest.raises((trio.ClosedResourceError, trio.Cancelled)):
                    await sock.recv(10)

            await wait_all_tasks_blocked()
            sys.settrace(interrupter)
            try:
                sock.close()
                await trio.lowlevel.checkpoint()
            finally:
                sys.settrace(None)

    tracer = sys.gettrace()
    line = 0
    try:
        while True:
            line += 1
            interrupter = Interrupter(line)
            with stdlib_pair() as (one, other):
                other.settimeout(10)
                try:
                    trio.run(main, trio_wsarecv.from_stdlib_socket(one))
                except BaseException as exc:
                    if not of_interrupts(exc):
                        raise
                else:
                    break
                assert other.recv(1) == b""
    finally:
        sys.settrace(tracer)
    assert line > 5
