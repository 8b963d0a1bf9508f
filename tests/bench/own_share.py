"""Python's own share of a receive: ``python -m tests.bench.own_share``, on Linux.

On Windows a system call is cheap, and Python is what costs.  So here the package runs on a Winsock
of C functions that do nothing.  It is compared with stock Trio's own receive on a socket that has
the data, system call included.  Both take turns in one process, on one processor.

Where a receive waits, a stand-in for Trio's completion port has its packet ready when no task can
run.  Stock Trio waits by epoll there, which costs less than its poll on Windows; sending it the
data does not count.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest import mock

import trio

import trio_wsarecv
from trio_wsarecv._engine import choose, port
from trio_wsarecv._winsock import calls
from trio_wsarecv._winsock.provider import Provider

from .build import build_library
from .processes import ProcessError
from .subjects import OURS, STOCK
from .table import Figure, Table

assert sys.platform != "win32"

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

HOST: Final = "127.0.0.1"
SIZE: Final = 64  # of a message: see ``do_nothing.c``
BATCH: Final = 32  # datagrams that are there at a time
MOST: Final = 64  # datagrams that a batch asks for
MESSAGES: Final = 6 * BATCH  # of a turn: a socket has room for them
ROUNDS: Final = 200
TIME: Final = Figure("time per call", "µs")


@contextmanager
def on_winsock(library: Path, completion_port: object) -> Iterator[ctypes.c_int32]:
    """Put the package on another Winsock and another completion port.

    Gives the variable that says whether a receive is pending there.
    All that this module knows of the inside of the package is here.
    """
    winsock = calls.ffi.dlopen(str(library))
    with ExitStack() as stack:
        for module, name, stand_in in (
            (calls, "ws2_32", winsock),
            (calls, "kernel32", winsock),
            (port, "completion_port", completion_port),
            (choose, "on_windows", True),
            (choose, "provider_of", lambda _: Provider("stand-in", 1, 1, True)),
        ):
            stack.enter_context(mock.patch.object(module, name, stand_in, create=True))
        yield ctypes.c_int32.in_dll(ctypes.CDLL(str(library)), "waits")


class Port(trio.abc.Clock):
    """Stands in for the completion port: what waits is completed as soon as no task can run.

    As the clock of a run it hears of that, since it is asked how long to sleep.

    Attributes:
      send: sends what stock Trio waits for, if it is that one's turn.
      sending: the seconds spent on it.
    """

    def __init__(self) -> None:
        self.send: Callable[[], object] | None = None
        self.sending = 0.0
        self._sleeping: list[trio.lowlevel.Task] = []

    def register_with_iocp(self, handle: int, /) -> None:
        pass

    async def wait_overlapped(self, handle: int, overlapped: int, /) -> object:
        self._sleeping.append(trio.lowlevel.current_task())
        return await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if self.send is not None:
            begin = time.perf_counter()
            self.send()
            self.sending += time.perf_counter() - begin
        while self._sleeping:
            trio.lowlevel.reschedule(self._sleeping.pop())
        return 0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return time.perf_counter()


class Row(NamedTuple):
    """A receive that is measured.

    Attributes:
      call: the method, of a stream or of a socket of datagrams.
      stock: what stock Trio has in its place.
      messages: how many messages the call gives.
      waits: whether it has to wait.
    """

    call: str
    stock: str
    messages: int = 1
    waits: bool = False

    @property
    def is_stream(self) -> bool:
        return "recvfrom" not in self.call

    @property
    def title(self) -> str:
        _, _, name = self.call.rpartition(".")
        several = f", {self.messages} datagrams" if self.messages > 1 else ""
        return f"{name}{several}{', waiting' if self.waits else ''}"


ROWS: Final = (
    Row("socket.recv", "socket.recv"),
    Row("socket.recv_into", "socket.recv_into"),
    Row("receive_some", "receive_some"),
    Row("receive_into", "socket.recv_into"),
    Row("recvfrom", "recvfrom"),
    Row("recvfrom_many", "recvfrom", BATCH),
    Row("socket.recv", "socket.recv", waits=True),
    Row("receive_some", "receive_some", waits=True),
    Row("recvfrom", "recvfrom", waits=True),
)


async def pair(is_stream: bool, factory: Any, stream: Any) -> tuple[Any, socket.socket]:
    """Return what receives, a stream or a socket of datagrams, and what sends to it."""
    if is_stream:
        with socket.create_server((HOST, 0)) as listener:
            sock = factory(socket.AF_INET, socket.SOCK_STREAM)
            await sock.connect(listener.getsockname())
            peer, _ = listener.accept()
        return stream(sock), peer
    sock = factory(socket.AF_INET, socket.SOCK_DGRAM)
    await sock.bind((HOST, 0))
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.connect(sock.getsockname())
    return sock, peer


def arguments(call: str) -> tuple[object, ...]:
    if call.endswith("_into"):
        return (bytearray(SIZE),)
    return (MOST, SIZE) if call.endswith("_many") else (SIZE,)


async def repeat(count: int, call: Callable[..., Awaitable[Any]], *arguments: object) -> float:
    """Return the seconds that so many calls take, one after the other."""
    begin = time.perf_counter()
    for _ in range(count):
        await call(*arguments)
    return time.perf_counter() - begin


async def measure_row(row: Row, waits: ctypes.c_int32, clock: Port, rounds: int) -> Table:
    """Measure one receive, in alternating turns."""
    factory = trio_wsarecv.SocketFactory().socket
    theirs, peer = await pair(row.is_stream, trio.socket.socket, trio.SocketStream)
    ours, other = await pair(row.is_stream, factory, trio_wsarecv.SocketStream)
    call, stock_call = attrgetter(row.call)(ours), attrgetter(row.stock)(theirs)
    message = bytes(SIZE)

    async def stock() -> float:
        clock.sending = 0
        if row.waits:
            clock.send = lambda: peer.send(message)
        else:
            for _ in range(MESSAGES):
                peer.send(message)
        seconds = await repeat(MESSAGES, stock_call, *arguments(row.stock))
        clock.send = None
        return seconds - clock.sending

    async def own() -> float:
        waits.value = row.waits
        return await repeat(MESSAGES // row.messages, call, *arguments(row.call))

    table = Table(f"own-{row.title}", row.title, TIME)
    turns = {STOCK: stock, OURS: own}
    for turn in range(rounds + 1):
        for name, take in list(turns.items())[:: -1 if turn % 2 else 1]:
            microseconds = 1e6 * await take() / (MESSAGES // row.messages)
            if turn:  # the first is for warming up
                table.add(name, microseconds)
    if (used := (ours.socket if row.is_stream else ours).engine) != "overlapped":
        raise ProcessError(f"{row.title}: received by {used}")
    for end in (theirs, ours):
        (end.socket if row.is_stream else end).close()
    peer.close()
    other.close()
    return table


async def measure_all(waits: ctypes.c_int32, clock: Port, rounds: int) -> list[Table]:
    """Return a table for each receive; the last is Trio's checkpoint, which all of them contain."""
    tables = [await measure_row(row, waits, clock, rounds) for row in ROWS]
    checkpoint = Table("own-checkpoint", "checkpoint", TIME)
    for _ in range(rounds):
        seconds = await repeat(MESSAGES, trio.lowlevel.checkpoint)
        checkpoint.add(STOCK, 1e6 * seconds / MESSAGES)
    return [*tables, checkpoint]


def measure(rounds: int) -> list[Table]:
    """Measure on the last processor that this process may use."""
    before, clock = os.sched_getaffinity(0), Port()
    os.sched_setaffinity(0, {max(before)})
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            library = build_library("do_nothing", Path(folder))
            with on_winsock(library, clock) as waits:
                return trio.run(measure_all, waits, clock, rounds, clock=clock)
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.own_share", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    print(f"{'microseconds for each call':32}{STOCK:>12}{OURS:>14}{'ratio':>8}")
    for table in measure(options.rounds):
        print(f"{table.title:32}{table.row(STOCK).median:>12.2f}", end="")
        if OURS in table.rows:
            row = table.row(OURS)
            print(f"{row.median:>14.2f}{row.ratio:>8.2f}", end="")
        print()


if __name__ == "__main__":
    main()
