"""The whole model, and its place under the package for the time of a test."""

from __future__ import annotations

import gc
import socket
import sys
import weakref
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import outcome
import pytest
import trio
import trio.testing

from trio_wsarecv import _association, _datagram, _operation, _overlapped, _winsock

from .behaviour import Behaviour
from .endpoint import Datagrams, Endpoint, Stream
from .errors import ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER
from .kernel import Kernel
from .memory import WatchedFfi, real
from .port import Port
from .sockets import SimulatedSocket, SocketOverSimulation
from .winsock import Kernel32, Ws2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class Simulation:
    """A Windows of its own.

    Attributes:
      behaviour: its free choices.
      kernel: its books.
      ws2_32: stands for the DLL of that name.
      kernel32: likewise.
      on_wait: called at the beginning of every wait for a packet.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.behaviour = Behaviour(seed=seed)
        self.kernel = Kernel(self.behaviour)
        self.kernel.wake_readers = self._wake_readers
        self.ws2_32 = Ws2(self.kernel)
        self.kernel32 = Kernel32(self.kernel)
        self._ports: trio.lowlevel.RunVar[Port] = trio.lowlevel.RunVar("simulated port")
        self._readers: dict[Any, trio.lowlevel.Task] = {}
        self._automatic = False
        self._driver: weakref.ref[trio.lowlevel.Task] | None = None
        self.on_wait: Callable[[], None] = lambda: None

    def stream(self) -> SocketOverSimulation:
        """Make a connected TCP socket."""
        return SocketOverSimulation(SimulatedSocket(self.kernel, Stream(self.kernel)))

    def datagrams(self) -> SocketOverSimulation:
        """Make a bound UDP socket."""
        return SocketOverSimulation(SimulatedSocket(self.kernel, Datagrams(self.kernel)))

    @property
    def port(self) -> Port:
        """The completion port of the current run."""
        try:
            return self._ports.get()
        except LookupError:
            self._ports.set(Port(self.kernel.dequeued, self._posted))
            return self._ports.get()

    def behave(self, **choices: Any) -> None:
        """Make the model's free choices anew, all but those that are named as they were."""
        self.behaviour = self.kernel.behaviour = replace(self.behaviour, **choices)

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
            if address not in self.kernel.outstanding:
                self.kernel.complain("a task waits for a packet that will never come")
                del self.port.waiters[address]
                trio.lowlevel.reschedule(task, outcome.Error(trio.TrioInternalError("no packet")))

    def _posted(self) -> None:
        if self._automatic:
            trio.lowlevel.current_trio_token().run_sync_soon(self.deliver)

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[trio.Nursery]:
        """Open a nursery that does not hang on a packet that the test did not deliver.

        The task that opens it is the one that delivers; should it come to wait for a packet
        itself, packets are delivered automatically from there on.

        Once the block is left, by an exception too, packets are delivered automatically.
        """
        async with trio.open_nursery() as nursery:
            self._driver = weakref.ref(trio.lowlevel.current_task())
            try:
                yield nursery
            except GeneratorExit:
                # There is no run any more that could deliver.
                raise
            except BaseException:
                self.deliver_automatically()
                raise
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
        assert not self.kernel.memory.exports, "a buffer is still exported"

    # What the package calls in trio.lowlevel and in the standard library's socket module.

    def register_with_iocp(self, handle: int, /) -> None:
        endpoint = self.kernel.endpoint(handle)
        if endpoint is None:
            code = ERROR_INVALID_PARAMETER if handle == -1 else ERROR_INVALID_HANDLE
            raise self.kernel.error(code)
        if endpoint.is_associated or not endpoint.overlapped_io:
            raise self.kernel.error(ERROR_INVALID_PARAMETER)
        endpoint.associate(self.port)

    async def wait_overlapped(self, handle: int, lpOverlapped: int, /) -> object:
        self.on_wait()
        if lpOverlapped not in self.kernel.outstanding:
            # Trio would sleep for ever, and end the run when the task is cancelled.
            self.kernel.complain("a task waits for a packet that will never come")
            raise trio.TrioInternalError("no packet will ever come")
        if self._driver and self._driver() is trio.lowlevel.current_task():
            # Nobody else delivers.
            self.deliver_automatically()
        return await self.port.wait(
            lpOverlapped, lambda: bool(self.kernel32.cancel(handle, lpOverlapped))
        )

    async def wait_readable(self, sock: Any) -> None:
        endpoint: Endpoint = sock.peer
        if sock in self._readers:
            raise trio.BusyResourceError("another task is already reading / writing this fd")
        if sock.fileno() == -1:
            raise self.kernel.error(10038)
        if endpoint.is_readable():
            await trio.lowlevel.checkpoint()
            return
        self._readers[sock] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._readers[sock]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake_readers(self) -> None:
        for sock in [sock for sock in self._readers if sock.peer.is_readable()]:
            trio.lowlevel.reschedule(self._readers.pop(sock))

    def notify_closing(self, sock: Any) -> None:
        task = self._readers.pop(sock, None)
        if task is not None:
            error = trio.ClosedResourceError("another task closed this fd")
            trio.lowlevel.reschedule(task, outcome.Error(error))


ALLOCATOR = type(real.new_allocator())


@contextmanager
def simulated_winsock(seed: int | None = None) -> Iterator[Simulation]:
    """Put the package on a simulation, and check in the end what became of it."""
    simulation = Simulation(seed)
    kernel = simulation.kernel
    real_close = socket.close
    real_notify_closing = trio.lowlevel.notify_closing
    real_wait_readable = trio.lowlevel.wait_readable

    def close(handle: int, /) -> None:
        if kernel.is_simulated(handle):
            kernel.close_handle(handle)
        else:
            real_close(handle)

    def notify_closing(sock: Any) -> None:
        if isinstance(sock, SimulatedSocket):
            simulation.notify_closing(sock)
        else:
            real_notify_closing(sock)

    async def wait_readable(sock: Any) -> None:
        if isinstance(sock, SimulatedSocket):
            await simulation.wait_readable(sock)
        else:
            await real_wait_readable(sock)

    # What has been there before need not be looked through again, which makes collecting quick.
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_winsock, "ws2_32", simulation.ws2_32, raising=False)
        patch.setattr(_winsock, "kernel32", simulation.kernel32, raising=False)
        patch.setattr(_overlapped, "port", simulation)
        patch.setattr(_association, "port", simulation)
        patch.setattr(_association, "on_windows", True)
        patch.setattr(_datagram, "_functions", {})
        patch.setattr(socket, "close", close)
        patch.setattr(trio.lowlevel, "notify_closing", notify_closing)
        patch.setattr(trio.lowlevel, "wait_readable", wait_readable)
        _watch_memory(patch, simulation)
        yield simulation
    gc.collect()
    gc.unfreeze()
    _exhume(simulation)
    simulation.check()


def _exhume(simulation: Simulation) -> None:
    # Whatever was buried here the kernel may finish now, and then is gone.
    kernel = simulation.kernel
    kernel.behaviour.prompt = True
    kernel.behaviour.seed = None
    kernel.settle()
    kernel.outstanding.clear()
    _operation._graveyard.clear()


def _watch_memory(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    memory = simulation.kernel.memory
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _winsock.__package__:
            for attribute, value in list(vars(module).items()):
                if value is real:
                    patch.setattr(module, attribute, WatchedFfi(memory))
                elif type(value) is ALLOCATOR:
                    patch.setattr(module, attribute, memory.new_uncleared)
