"""The whole model: the kernel, the DLLs, and what a test asks of them.

Within a `trio.run`, its completion port belongs to that run, as Trio's does.  A test lets the
kernel get on (`Simulation.settle`), delivers packets (`Simulation.deliver`) and lets tasks run
(`Simulation.run`), or all of it in turn (`Simulation.step`).
"""

from __future__ import annotations

import socket
import weakref
from contextlib import asynccontextmanager
from dataclasses import replace
from mmap import mmap
from typing import TYPE_CHECKING, Any

import outcome
import trio
import trio.testing

from trio_wsarecv._engine.memory import MAX_RECEIVE_SIZE

from .behaviour import Behaviour
from .calls import Call
from .datagrams import Datagrams
from .errors import ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER
from .kernel import Kernel
from .kernel32 import Kernel32
from .port import Key, Port
from .readers import Readers, Writers
from .sockets import SimulatedSocket, SocketOverSimulation
from .stream import State, Stream
from .winsock import Ws2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .endpoint import Endpoint


class CompletionPort:
    """What the package asks of `trio.lowlevel` on Windows alone."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def register_with_iocp(self, handle: int, /) -> None:
        simulation = self._simulation
        simulation.register_with_iocp(handle)
        endpoint = simulation.kernel.endpoint(handle)
        assert endpoint is not None
        endpoint.registered_with = weakref.ref(simulation.port)

    async def wait_overlapped(self, handle: int, lpOverlapped: int, /) -> object:
        return await self._simulation.wait_overlapped(handle, lpOverlapped)


class Simulation:
    """A Windows of its own.

    Attributes:
      behaviour: its free choices.
      kernel: its books.
      ws2_32: stands for the DLL of that name.
      kernel32: likewise.
      completion_port: what the package is given for `trio.lowlevel`.
      readers: who waits for a socket to become readable.
      writers: who waits for one to become writable.
      driver: the task that delivers packets; if it waits for one itself, nobody else would, so
          packets are delivered automatically from then on.
      on_wait: called at the beginning of every wait for a packet.
      knows_answers: whether nothing interrupts a call before the package knows what it answered.
          If something does, it may have to wait and see whether a packet comes.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.behaviour = Behaviour(seed=seed)
        self.kernel = Kernel(self.behaviour)
        self.readers = Readers(self.kernel)
        self.kernel.wake_readers = self.readers.wake
        self.writers = Writers(self.kernel)
        self.kernel.current_port = self._current_port
        self.ws2_32 = Ws2(self.kernel)
        self.kernel32 = Kernel32(self.kernel)
        self.completion_port = CompletionPort(self)
        self._ports: trio.lowlevel.RunVar[Port] = trio.lowlevel.RunVar("simulated port")
        self._automatic = False
        self._nursery: Callable[[], trio.Nursery | None] = lambda: None
        self.driver: weakref.ref[trio.lowlevel.Task] | None = None
        self.on_wait: Callable[[], None] = lambda: None
        self.knows_answers = True

    def stream(
        self,
        *,
        made_here: bool = False,
        state: State = State.CONNECTED,
        family: int = socket.AF_INET,
    ) -> SocketOverSimulation:
        """Make a TCP socket, a connected one unless told otherwise.

        Args:
          made_here: whether the package may take it for one that it has made, and nobody else had.
          state: how far it has come.
          family: its address family.
        """
        sock = self._socket(Stream(self.kernel, state), family)
        sock.receiver.made_here = made_here
        return sock

    def datagrams(
        self, *, is_bound: bool = True, made_here: bool = False, family: int = socket.AF_INET
    ) -> SocketOverSimulation:
        """Make a UDP socket, a bound one unless told otherwise."""
        sock = self._socket(Datagrams(self.kernel, is_bound=is_bound), family)
        sock.receiver.made_here = made_here
        return sock

    def _socket(self, endpoint: Endpoint, family: int) -> SocketOverSimulation:
        if self.driver is None and trio.lowlevel.in_trio_task():
            self.driver = weakref.ref(trio.lowlevel.current_task())
        return SocketOverSimulation(SimulatedSocket(self.kernel, endpoint, family))

    def in_kernel(self, sock: SocketOverSimulation) -> bool:
        """Tell whether the kernel has a receive of a socket that has not completed."""
        return bool(sock.peer.requests)

    @property
    def events(self) -> list[str]:
        """What went over the boundary: receive, cancel, dequeue, close, set modes."""
        return [event.what for event in self.kernel.log]

    @property
    def port(self) -> Port:
        """The completion port of the current run."""
        try:
            return self._ports.get()
        except LookupError:
            self._ports.set(Port(self.kernel.dequeued, self._posted))
            return self._ports.get()

    def _current_port(self) -> Port | None:
        return self.port if trio.lowlevel.in_trio_run() else None

    def behave(self, behaviour: Behaviour | None = None, **choices: Any) -> None:
        """Make the model's free choices anew.

        Args:
          behaviour: the choices; None means those of now.
          choices: single ones that are to be different.
        """
        self.behaviour = self.kernel.behaviour = replace(behaviour or self.behaviour, **choices)

    def settle(self) -> None:
        """Let the kernel get on with what it has put off."""
        self.kernel.settle()

    def deliver(self, count: int | None = None) -> None:
        """Let Trio dequeue so many packets; all there are, if not told otherwise.

        Raises:
          trio.TrioInternalError: nobody waits for one of them.
        """
        queue = self.port.queue
        for _ in range(len(queue) if count is None else count):
            self.port.dispatch()

    def call(self, function: Callable[..., Awaitable[Any]], *args: object) -> Call:
        """Start a call in a task of its own, in the nursery that was opened last."""
        nursery = self._nursery()
        assert nursery is not None
        return Call(nursery, function, *args)

    async def begin(self, function: Callable[..., Awaitable[Any]], *args: object) -> Call:
        """Start a call, and let every task run for as long as it can."""
        call = self.call(function, *args)
        await self.run()
        return call

    async def run(self) -> None:
        """Let every task run for as long as it can."""
        await trio.testing.wait_all_tasks_blocked()

    async def step(self) -> None:
        """Settle, deliver, and run, one packet at a time, until there is nothing to deliver."""
        await self.run()
        self.settle()
        while self.port.queue:
            await self.deliver_one_by_one(1)
            self.settle()

    async def deliver_one_by_one(self, count: int) -> None:
        """Deliver so many packets and run after each.

        Trio runs tasks that are woken together in any order, so that what they do next need not
        come in the order of their packets.
        """
        for _ in range(min(count, len(self.port.queue))):
            self.deliver(1)
            await self.run()

    def deliver_automatically(self) -> None:
        """From here on, deliver each packet as soon as Trio gets to it."""
        self._automatic = True
        self.behaviour.seed = None
        self.behaviour.prompt = True
        self.settle()
        self._posted()
        self._wake_the_hopeless()

    def _wake_the_hopeless(self) -> None:
        # In Trio, nothing would ever wake them, and cancelling one would end the run.
        for address, task in list(self.port.waiters.items()):
            if self.knows_answers and address not in self.kernel.outstanding:
                self.kernel.complain("a task waits for a packet that will never come")
                del self.port.waiters[address]
                trio.lowlevel.reschedule(task, outcome.Error(trio.TrioInternalError("no packet")))

    def _posted(self) -> None:
        if self._automatic:
            trio.lowlevel.current_trio_token().run_sync_soon(self.deliver)

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[trio.Nursery]:
        """Open a nursery that does not hang on a packet that the test did not deliver.

        The task that opens it is the one that delivers.  If it waits for a packet itself, packets
        are delivered automatically from then on.

        Once the block is left, by an exception too, packets are delivered automatically.
        """
        async with trio.open_nursery() as nursery:
            self.driver = weakref.ref(trio.lowlevel.current_task())
            # Weakly, so that nothing holds on to the tasks of a run that has crashed.
            outer, self._nursery = self._nursery, weakref.ref(nursery)
            try:
                yield nursery
            except GeneratorExit:
                # There is no run any more that could deliver.
                raise
            except BaseException:
                self.deliver_automatically()
                raise
            finally:
                self._nursery = outer
            self.deliver_automatically()

    def check(self) -> None:
        """Raise what there is to complain about."""
        self.kernel.memory.check()
        if self.kernel.complaints:
            raise AssertionError("; ".join(dict.fromkeys(self.kernel.complaints)))

    def check_quiet(self) -> None:
        """Raise unless the kernel has given back everything it had, and nothing is exported."""
        self.check()
        assert not self.kernel.outstanding, "a packet is still to come"
        # The blocks of a run are memory maps, exported for as long as the run lasts.
        exports = self.kernel.memory.exports.values()
        blocks = [each for each in exports if isinstance(each.buffer, mmap)]
        assert len(exports) == len(blocks), "a buffer is still exported"
        assert all(each.size == MAX_RECEIVE_SIZE for each in blocks)

    # What the package calls in trio.lowlevel.

    def register_with_iocp(self, handle: int, /) -> None:
        endpoint = self.kernel.endpoint(handle)
        if endpoint is None:
            code = ERROR_INVALID_PARAMETER if handle == -1 else ERROR_INVALID_HANDLE
            raise self.kernel.error(code)
        if endpoint.is_associated or not endpoint.overlapped_io:
            raise self.kernel.error(ERROR_INVALID_PARAMETER)
        endpoint.associate(self.port, Key.WAIT_OVERLAPPED)

    async def wait_overlapped(self, handle: int, lpOverlapped: int, /) -> object:
        self.on_wait()
        if self.knows_answers and lpOverlapped not in self.kernel.outstanding:
            # Trio would sleep for ever, and end the run when the task is cancelled.
            self.kernel.complain("a task waits for a packet that will never come")
            raise trio.TrioInternalError("no packet will ever come")
        if self.driver and self.driver() is trio.lowlevel.current_task():
            # Nobody else delivers.
            self.deliver_automatically()
        return await self.port.wait(
            lpOverlapped, lambda: bool(self.kernel32.cancel(handle, lpOverlapped))
        )
