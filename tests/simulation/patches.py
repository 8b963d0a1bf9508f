"""The model under the package, for the time of a test."""

from __future__ import annotations

import gc
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trio_wsarecv._engine import choose, port, winsock
from trio_wsarecv._winsock import calls, datagram

from .memory import WatchedFfi, real
from .simulation import Simulation
from .sockets import SimulatedSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOCATOR = type(real.new_allocator())
PACKAGE = "trio_wsarecv"


@contextmanager
def simulated_winsock(seed: int | None = None) -> Iterator[Simulation]:
    """Put the package on a simulation, and check in the end what became of it."""
    simulation = Simulation(seed)
    simulation.kernel.memory.share(datagram.overflow_area)
    # What has been there before need not be looked through again, which makes collecting quick.
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "ws2_32", simulation.ws2_32, raising=False)
        patch.setattr(calls, "kernel32", simulation.kernel32, raising=False)
        patch.setattr(port, "completion_port", simulation.completion_port)
        patch.setattr(choose, "on_windows", True)
        patch.setattr(datagram, "_functions", {})
        patch.setattr(winsock, "_without_messages", set())
        _stand_in_for_sockets(patch, simulation)
        _watch_memory(patch, simulation)
        yield simulation
    gc.collect()
    gc.unfreeze()
    _complete_the_abandoned(simulation)
    simulation.check()


def _stand_in_for_sockets(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    kernel = simulation.kernel
    real_close = socket.close
    real_notify_closing = trio.lowlevel.notify_closing
    real_wait_readable = trio.lowlevel.wait_readable
    real_wait_writable = trio.lowlevel.wait_writable

    def close(handle: int, /) -> None:
        if kernel.is_simulated(handle):
            kernel.close_handle(handle)
        else:
            real_close(handle)

    def notify_closing(sock: Any) -> None:
        if isinstance(sock, SimulatedSocket):
            simulation.readers.notify_closing(sock)
            simulation.writers.notify_closing(sock)
        else:
            real_notify_closing(sock)

    async def wait_readable(sock: Any) -> None:
        if isinstance(sock, SimulatedSocket):
            await simulation.readers.wait(sock)
        else:
            await real_wait_readable(sock)

    async def wait_writable(sock: Any) -> None:
        if isinstance(sock, SimulatedSocket):
            await simulation.writers.wait(sock)
        else:
            await real_wait_writable(sock)

    patch.setattr(socket, "close", close)
    patch.setattr(trio.lowlevel, "notify_closing", notify_closing)
    patch.setattr(trio.lowlevel, "wait_readable", wait_readable)
    patch.setattr(trio.lowlevel, "wait_writable", wait_writable)


def _complete_the_abandoned(simulation: Simulation) -> None:
    # What was abandoned is kept for good.  So the kernel may write there now, and then is done.
    kernel = simulation.kernel
    kernel.behaviour.prompt = True
    kernel.behaviour.seed = None
    kernel.settle()
    kernel.outstanding.clear()


def _watch_memory(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    memory = simulation.kernel.memory
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE:
            for attribute, value in list(vars(module).items()):
                if value is real:
                    patch.setattr(module, attribute, WatchedFfi(memory))
                elif type(value) is ALLOCATOR:
                    patch.setattr(module, attribute, memory.new_uncleared)
