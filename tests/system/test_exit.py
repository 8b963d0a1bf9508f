"""The end of a run or of the process while receives are pending: no crash, no hang."""

from __future__ import annotations

import gc
import itertools
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
from tests.peers import receive_when, stdlib_pair
from tests.programs import Program, run
from tests.receiving import call, on_windows
from tests.simulation import Call, CrashingClock

PROGRAM = str(Path(__file__).with_name("exits.py"))
PACKAGE = str(Path(trio_wsarecv.__file__).parent)


LAST = "the last line\n"
#: By how a process ends: its status, what it writes, and words of the error.
ENDS = {
    "exception": (1, "", "ValueError: the reason"),
    "exit": (1, "", "SystemExit: 5"),
    "interrupt": (1, "", "KeyboardInterrupt"),
    "internal error": (1, "", "TrioInternalError"),
    "os._exit": (7, "", ""),
    "daemon": (0, LAST, ""),
    "guest": (0, LAST, ""),
    "crash": (0, f"ValueError('the reason')\n{LAST}", ""),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_process_ends_as_with_stock_sockets(how: str) -> None:
    ours, stock = Program(PROGRAM, "ours", how), Program(PROGRAM, "stock", how)
    run(ours, stock)
    status, output, words = ENDS[how]
    assert (ours.status, ours.stdout) == (stock.status, stock.stdout)
    assert (ours.status, ours.stdout) == (status, f"receiving\n{output}")
    if how == "crash":  # Trio reports the tasks that it dropped, but nothing of the package
        assert PACKAGE not in ours.stderr
    else:
        assert ours.stderr.replace('"ours"', '"stock"') == stock.stderr
        assert words in ours.stderr if words else not ours.stderr


def crash_while(call: Callable[[], Awaitable[object]]) -> None:
    """Make the run loop itself fail, so that Trio drops its tasks where they are."""
    clock = CrashingClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            clock.crash()

    with pytest.raises(trio.TrioInternalError):
        trio.run(main, clock=clock)
    gc.collect()


# Trio warns of each task that it had to drop.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_after_a_crash_the_socket_is_usable_and_the_kernel_never_writes_to_reused_memory() -> None:
    with stdlib_pair() as (one, other):
        sock = trio_wsarecv.from_stdlib_socket(one)
        buffers = [bytearray(1000)]
        crash_while(partial(sock.recv_into, buffers[0]))
        if on_windows:
            with pytest.raises(BufferError):  # the kernel may still have it
                buffers[0].extend(bytes(100_000))
        buffers.clear()
        gc.collect()
        canaries = [bytearray(b"canary" * 200) for _ in range(1000)]
        other.sendall(b"x" * 1000)

        async def main() -> None:
            assert await trio_wsarecv.SocketStream(sock).receive_exactly(1000) == b"x" * 1000
            more = await receive_when(True, lambda: sock.recv(10), lambda: other.sendall(b"more"))
            assert more == b"more"

        trio.run(main)
        assert all(canary == b"canary" * 200 for canary in canaries)
        crash_while(lambda: sock.recv(10))
        sock.close()
        assert sock.fileno() == -1
        other.settimeout(10)
        assert other.recv(10) == b""


class Interrupter:
    """Sends SIGINT when the given number of lines of the package have been run."""

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

    def __enter__(self) -> None:
        sys.settrace(self)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)


def only_interrupts(exc: BaseException) -> bool:
    """Tell whether this is a KeyboardInterrupt, or a group of nothing else."""
    parts = getattr(exc, "exceptions", None)
    return all(map(only_interrupts, parts)) if parts else isinstance(exc, KeyboardInterrupt)


@pytest.mark.parametrize(
    ("name", "pending"),
    [("recv", False), ("recv", True), ("receive_exactly", True), ("close", True)],
)
def test_an_interrupt_at_any_line_raises_keyboard_interrupt_alone(name: str, pending: bool) -> None:
    async def main(
        interrupter: Interrupter, sock: trio_wsarecv.Socket, other: socket.socket
    ) -> None:
        async def receive() -> object:
            if not pending:
                await trio.lowlevel.wait_readable(sock)
            if name == "close":
                return await sock.recv(4)
            with interrupter:
                return await call(sock, name, 4)

        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, receive)
            if pending:
                await wait_all_tasks_blocked()
            if name == "close":
                with interrupter:
                    sock.close()
                    await trio.lowlevel.checkpoint()
            else:
                other.sendall(b"data")
        if name == "close":
            assert isinstance(receiver.error, (trio.ClosedResourceError, trio.Cancelled))
        else:
            assert receiver.value == b"data"

    tracer = sys.gettrace()
    try:
        for line in itertools.count(1):
            interrupter = Interrupter(line)
            with stdlib_pair() as (one, other):
                try:
                    trio.run(main, interrupter, trio_wsarecv.from_stdlib_socket(one), other)
                except BaseException as exc:
                    if not only_interrupts(exc):
                        raise
                else:
                    assert interrupter.lines_left > 0, "the interrupt is lost"
                    assert line > 5
                    return
                if name == "close":
                    other.settimeout(10)
                    assert other.recv(1) == b""
    finally:
        sys.settrace(tracer)
