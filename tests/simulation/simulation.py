"""The whole model: the kernel, the DLLs, and what a test controls.

Each `trio.run` has a completion port of its own, as in Trio.  A test has the kernel process what
it has put off (`Simulation.settle`), delivers packets (`Simulation.deliver`) and lets tasks run
(`Simulation.run`), or does all of it in turn (`Simulation.step`).
"""

from __future__ import annotations

import gc
import socket
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from mmap import mmap
from typing import Any

import pytest
import trio
import trio.testing

from trio_wsarecv._engine import choose, port, winsock
from trio_wsarecv._engine.memory import MAX_RECEIVE_SIZE
from trio_wsarecv._winsock import calls, datagram

from .behaviour import Behaviour
from .calls import Call
from .endpoints import Datagrams, State, Stream
from .kernel import FIRST_HANDLE, Endpoint, Kernel
from .memory import WatchedFfi, real
from .port import Port, Waiters
from .sockets import SimulatedSocket, SocketOverSimulation
from .winsock import ERROR_INVALID_PARAMETER, Kernel32, Ws2

ALLOCATOR = type(real.new_allocator())


class Simulation:
    """A Windows of its own.  The package uses it in place of `trio.lowlevel`'s completion port.

    Attributes:
      driver: the task that delivers packets.  If it waits for one itself, packets are delivered
          automatically from then on.
      on_wait: called at the beginning of every wait for a packet.
      knows_answers: whether the package always learns what a call answered.  After an interrupt
          it may not, and then it may wait for a packet that never comes.
    """

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.readers = Waiters(lambda sock: sock.peer.is_readable())
        self.writers = Waiters(lambda sock: sock.peer.outgoing.is_writable())
        self.kernel.wake_readers = self.readers.wake
        self.ws2_32 = Ws2(self.kernel)
        self.kernel32 = Kernel32(self.kernel)
        self._ports: trio.lowlevel.RunVar[Port] = trio.lowlevel.RunVar("simulated port")
        self._automatic = False
        self._nursery: Callable[[], trio.Nursery | None] = lambda: None
        self.driver: weakref.ref[trio.lowlevel.Task] | None = None
        self.on_wait: Callable[[], None] = lambda: None
        self.knows_answers = True

    def stream(self, state: State = State.CONNECTED, **options: Any) -> SocketOverSimulation:
        """Make a TCP socket, with the options of `datagrams`."""
        return self._socket(Stream(self.kernel, state), **options)

    def datagrams(self, **options: Any) -> SocketOverSimulation:
        """Make a UDP socket.

        Options:
          made_here: whether the package may assume that it made the socket itself.
          family: of its address.
        """
        return self._socket(Datagrams(self.kernel), **options)

    def _socket(
        self, endpoint: Endpoint, *, made_here: bool = False, family: int = socket.AF_INET
    ) -> SocketOverSimulation:
        if self.driver is None and trio.lowlevel.in_trio_task():
            self.driver = weakref.ref(trio.lowlevel.current_task())
        sock = SocketOverSimulation(SimulatedSocket(self.kernel, endpoint, family))
        sock.receiver.made_here = made_here
        return sock

    def in_kernel(self, sock: SocketOverSimulation) -> bool:
        """Tell whether a receive on this socket has not completed."""
        return bool(sock.peer.requests)

    @property
    def events(self) -> list[str]:
        """What the kernel was asked to do: receive, cancel, dequeue, close, set modes."""
        return [event.what for event in self.kernel.log]

    @property
    def behaviour(self) -> Behaviour:
        """How this Windows behaves."""
        return self.kernel.behaviour

    @property
    def port(self) -> Port:
        """The completion port of the current run."""
        try:
            return self._ports.get()
        except LookupError:
            self._ports.set(Port(self.kernel.dequeued, self._posted))
            return self._ports.get()

    def behave(self, behaviour: Behaviour | None = None, **choices: Any) -> None:
        """Change some choices of the present behaviour, or of another one."""
        self.kernel.behaviour = replace(behaviour or self.behaviour, **choices)

    def settle(self) -> None:
        """Have the kernel process what it has put off."""
        self.kernel.settle()

    def deliver(self, count: int | None = None) -> None:
        """Have Trio dequeue this many packets; None means all.

        Raises:
          trio.TrioInternalError: no task waits for one of them.
        """
        queue = self.port.queue
        for _ in range(len(queue) if count is None else count):
            self.port.dispatch()

    def call(self, function: Callable[..., Awaitable[Any]], *args: object) -> Call:
        """Start a call in a task of its own, in the innermost nursery."""
        nursery = self._nursery()
        assert nursery is not None
        return Call(nursery, function, *args)

    async def begin(self, function: Callable[..., Awaitable[Any]], *args: object) -> Call:
        """Start a call, and let all tasks run until they are blocked."""
        call = self.call(function, *args)
        await self.run()
        return call

    async def run(self) -> None:
        """Let all tasks run until they are blocked."""
        await trio.testing.wait_all_tasks_blocked()

    async def step(self) -> None:
        """Settle, deliver, and run, one packet at a time, until no packet is left."""
        await self.run()
        self.settle()
        while self.port.queue:
            await self.deliver_one_by_one(1)
            self.settle()

    async def deliver_one_by_one(self, count: int) -> None:
        """Deliver this many packets, and run after each.

        Trio runs tasks that are woken together in any order, which need not be that of their
        packets.
        """
        for _ in range(min(count, len(self.port.queue))):
            self.deliver(1)
            await self.run()

    def deliver_automatically(self) -> None:
        """From now on, deliver each packet as soon as it is posted."""
        self._automatic = True
        self.behave(prompt=True, seed=None)
        self.settle()
        self._posted()

    def _posted(self) -> None:
        if self._automatic:
            trio.lowlevel.current_trio_token().run_sync_soon(self.deliver)

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[trio.Nursery]:
        """Open a nursery, and deliver packets automatically once its block is left.

        So it does not hang on a packet that the test did not deliver.  The task that opens it is
        the driver.
        """
        async with trio.open_nursery() as nursery:
            self.driver = weakref.ref(trio.lowlevel.current_task())
            # A weak reference does not keep the tasks of a run that has crashed alive.
            outer, self._nursery = self._nursery, weakref.ref(nursery)
            try:
                yield nursery
            finally:
                self._nursery = outer
                # After a crash there is no run any more that could deliver.
                if not isinstance(sys.exc_info()[1], GeneratorExit):
                    self.deliver_automatically()

    def check(self) -> None:
        """Raise all complaints."""
        self.kernel.memory.check()
        if self.kernel.complaints:
            raise AssertionError("; ".join(dict.fromkeys(self.kernel.complaints)))

    def check_quiet(self) -> None:
        """Check that no packet is still to come, and that no buffer is exported."""
        self.check()
        assert not self.kernel.outstanding, "a packet is still to come"
        # The memory blocks of a run are memory maps, exported until the run ends.
        exports = self.kernel.memory.exports.values()
        blocks = [each for each in exports if isinstance(each.buffer, mmap)]
        assert len(exports) == len(blocks), "a buffer is still exported"
        assert all(each.size == MAX_RECEIVE_SIZE for each in blocks)

    def register_with_iocp(self, handle: int, /) -> None:
        endpoint = self.kernel.endpoint(handle)
        if endpoint.is_associated or not endpoint.overlapped_io:
            raise self.kernel.error(ERROR_INVALID_PARAMETER)
        endpoint.associate(self.port)

    async def wait_overlapped(self, handle: int, lpOverlapped: int, /) -> object:
        self.on_wait()
        if self.knows_answers and lpOverlapped not in self.kernel.outstanding:
            # In Trio, nothing would ever wake this task, and cancelling it would end the run.
            self.kernel.complain("a task waits for a packet that will never come")
            raise trio.TrioInternalError("no packet will ever come")
        if self.driver and self.driver() is trio.lowlevel.current_task():
            self.deliver_automatically()
        return await self.port.wait(lpOverlapped)


@contextmanager
def simulated_winsock() -> Iterator[Simulation]:
    """Run the package on a simulation, and check that in the end."""
    simulation = Simulation()
    simulation.kernel.memory.share(datagram.overflow_area)
    # Collecting garbage takes less time without what was there before.
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "ws2_32", simulation.ws2_32, raising=False)
        patch.setattr(calls, "kernel32", simulation.kernel32, raising=False)
        patch.setattr(port, "completion_port", simulation)
        patch.setattr(choose, "on_windows", True)
        patch.setattr(datagram, "_functions", {})
        patch.setattr(winsock, "_without_messages", set())
        _replace_socket_functions(patch, simulation)
        _watch_memory(patch, simulation)
        yield simulation
    gc.collect()
    gc.unfreeze()
    # What was abandoned is kept for good, so the kernel may write there now.
    simulation.behave(prompt=True, seed=None)
    simulation.settle()
    simulation.kernel.outstanding.clear()
    simulation.check()


def _replace_socket_functions(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    kernel, readers, writers = simulation.kernel, simulation.readers, simulation.writers
    real_close = socket.close

    def close(handle: int, /) -> None:
        (kernel.close_handle if handle >= FIRST_HANDLE else real_close)(handle)

    def notify_closing(sock: Any) -> None:
        readers.notify_closing(sock)
        writers.notify_closing(sock)

    def divert(name: str, simulated: Callable[[Any], Any]) -> None:
        real_function = getattr(trio.lowlevel, name)

        def function(sock: Any) -> Any:
            is_simulated = isinstance(sock, SimulatedSocket)
            return (simulated if is_simulated else real_function)(sock)

        patch.setattr(trio.lowlevel, name, function)

    patch.setattr(socket, "close", close)
    divert("notify_closing", notify_closing)
    divert("wait_readable", readers.wait)
    divert("wait_writable", writers.wait)


def _watch_memory(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    memory = simulation.kernel.memory
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "trio_wsarecv":
            for attribute, value in list(vars(module).items()):
                if value is real:
                    patch.setattr(module, attribute, WatchedFfi(memory))
                elif type(value) is ALLOCATOR:
                    patch.setattr(module, attribute, memory.new_uncleared)
