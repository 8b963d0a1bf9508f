"""Python's own share of a receive, on Linux: ``python -m benchmarks --only own``.

On Windows a system call is cheap, and Python is what costs.  So here the package runs on a Winsock
of C functions that do nothing.  It is compared with stock Trio's own receive on a socket that has
the data, system call included.  Both take turns in one process, on one processor.

Where a receive waits, a stand-in for Trio's completion port delivers its packet when no task can
run.  Stock Trio waits by epoll there, which costs less than its poll on Windows; sending it the
data does not count.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from operator import attrgetter
from typing import Any, Final, NamedTuple
from unittest import mock

import trio

import trio_wsarecv
from trio_wsarecv._engine import choose, port
from trio_wsarecv._winsock import calls
from trio_wsarecv._winsock.provider import Provider

from .machine import ProcessError, build
from .results import OURS, STOCK, Figure, Table

assert sys.platform != "win32"

HOST: Final = "127.0.0.1"
SIZE: Final = 64  # of a message: see ``do_nothing.c``
BATCH: Final = 32  # datagrams that are there at a time
MESSAGES: Final = 6 * BATCH  # of a turn: a socket has room for them
ROUNDS: Final = 200
TIME: Final = Figure("time per call", "µs")


class Port(trio.abc.Clock):
    """Stands in for the completion port: what waits is completed as soon as no task can run.

    It knows when that is because it is also the clock of the run, which Trio asks how long to
    sleep.  In a turn of stock Trio it sends the data then, and counts the seconds spent on that.
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


class Call(NamedTuple):
    """A receive of a stream or a datagram socket, and the call of stock Trio to compare it with."""

    title: str
    name: str
    stock: str
    arguments: tuple[object, ...] = (SIZE,)
    messages: int = 1
    waits: bool = False


CALLS: Final = (
    Call("recv", "socket.recv", "socket.recv"),
    Call("recv_into", "socket.recv_into", "socket.recv_into", (bytearray(SIZE),)),
    Call("receive_some", "receive_some", "receive_some"),
    Call("receive_into", "receive_into", "socket.recv_into", (bytearray(SIZE),)),
    Call("recvfrom", "recvfrom", "recvfrom"),
    Call("recvfrom_many, 32 datagrams", "recvfrom_many", "recvfrom", (2 * BATCH, SIZE), BATCH),
    Call("recv, waiting", "socket.recv", "socket.recv", waits=True),
    Call("receive_some, waiting", "receive_some", "receive_some", waits=True),
    Call("recvfrom, waiting", "recvfrom", "recvfrom", waits=True),
)


async def pair(factory: Any, stream: Any) -> tuple[Any, Any, socket.socket]:
    """Return a socket, its stream or the socket again, and the socket that sends to it."""
    if stream is None:
        sock = factory(socket.AF_INET, socket.SOCK_DGRAM)
        await sock.bind((HOST, 0))
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.connect(sock.getsockname())
        return sock, sock, peer
    with socket.create_server((HOST, 0)) as listener:
        sock = factory(socket.AF_INET, socket.SOCK_STREAM)
        await sock.connect(listener.getsockname())
        return sock, stream(sock), listener.accept()[0]


async def repeat(count: int, call: Callable[..., Awaitable[Any]], *arguments: object) -> float:
    """Return the microseconds that so many calls take, one after the other."""
    begin = time.perf_counter()
    for _ in range(count):
        await call(*arguments)
    return 1e6 * (time.perf_counter() - begin)


async def measure_call(call: Call, clock: Port) -> Table:
    """Measure one receive, in alternating turns; the first is for warming up."""
    streams: tuple[Any, Any] = trio.SocketStream, trio_wsarecv.SocketStream
    if "recvfrom" in call.name:
        streams = (None, None)
    sock, theirs, peer = await pair(trio.socket.socket, streams[0])
    own_sock, ours, other = await pair(trio_wsarecv.SocketFactory().socket, streams[1])
    receive, receive_stock = attrgetter(call.name)(ours), attrgetter(call.stock)(theirs)
    stock_arguments = call.arguments if call.messages == 1 else (SIZE,)
    message, times = bytes(SIZE), MESSAGES // call.messages
    table = Table(f"own-{call.title}", call.title, TIME)
    for turn in range(ROUNDS + 1):
        clock.sending = 0
        if call.waits:
            clock.send = lambda: peer.send(message)
        for _ in range(0 if call.waits else MESSAGES):
            peer.send(message)
        spent = await repeat(MESSAGES, receive_stock, *stock_arguments) - 1e6 * clock.sending
        clock.send = None
        own_spent = await repeat(times, receive, *call.arguments)
        if turn:
            table.add(STOCK, spent / times)
            table.add(OURS, own_spent / times)
    if own_sock.engine != "overlapped":
        raise ProcessError(f"{call.title}: received by {own_sock.engine}")
    for each in (sock, own_sock, peer, other):
        each.close()
    return table


async def measure_all(waits: ctypes.c_int32, clock: Port) -> list[Table]:
    """Return a table for each receive; the last is Trio's checkpoint, which is part of each.

    ``waits`` is the variable that says whether a receive is pending.
    """
    tables = []
    for call in CALLS:
        waits.value = call.waits
        tables.append(await measure_call(call, clock))
    tables.append(Table("own-checkpoint", "checkpoint", TIME))
    for _ in range(ROUNDS):
        spent = await repeat(MESSAGES, trio.lowlevel.checkpoint)
        tables[-1].add(STOCK, spent / MESSAGES)
    return tables


def measure() -> list[Table]:
    """Put the package on another Winsock and port, and measure on the last allowed processor.

    Nothing else in this module depends on the package's internals.
    """
    before, stand_in = os.sched_getaffinity(0), Port()
    library = str(build("do_nothing", "-shared", "-fPIC", compiler="gcc"))
    winsock = calls.ffi.dlopen(library)
    with ExitStack() as stack:
        for module, name, replacement in (
            (calls, "ws2_32", winsock),
            (calls, "kernel32", winsock),
            (port, "completion_port", stand_in),
            (choose, "on_windows", True),
            (choose, "provider_of", lambda _: Provider("stand-in", 1, 1, True)),
        ):
            stack.enter_context(mock.patch.object(module, name, replacement, create=True))
        stack.callback(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(0, {max(before)})
        waits = ctypes.c_int32.in_dll(ctypes.CDLL(library), "waits")
        return trio.run(measure_all, waits, stand_in, clock=stand_in)
