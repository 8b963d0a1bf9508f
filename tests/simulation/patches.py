"""The package on the model, for the time of a test."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from trio_wsarecv._engine import choose, port, winsock
from trio_wsarecv._winsock import calls, datagram

from .kernel import FIRST_HANDLE
from .memory import WatchedFfi, real
from .simulation import Simulation
from .sockets import SimulatedSocket

ALLOCATOR = type(real.new_allocator())


@contextmanager
def simulated_winsock(seed: int | None = None) -> Iterator[Simulation]:
    """Run the package on a simulation, and check that in the end."""
    simulation = Simulation(seed)
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

    def close(handle: int, /) -> None:
        (kernel.close_handle if handle >= FIRST_HANDLE else real_close)(handle)

    def notify_closing(sock: Any) -> None:
        readers.notify_closing(sock)
        writers.notify_closing(sock)

    def replace(name: str, simulated: Callable[[Any], Any]) -> None:
        real_function = getattr(trio.lowlevel, name)

        def function(sock: Any) -> Any:
            is_simulated = isinstance(sock, SimulatedSocket)
            return (simulated if is_simulated else real_function)(sock)

        patch.setattr(trio.lowlevel, name, function)

    real_close = socket.close
    patch.setattr(socket, "close", close)
    replace("notify_closing", notify_closing)
    replace("wait_readable", readers.wait)
    replace("wait_writable", writers.wait)


def _watch_memory(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    memory = simulation.kernel.memory
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "trio_wsarecv":
            for attribute, value in list(vars(module).items()):
                if value is real:
                    patch.setattr(module, attribute, WatchedFfi(memory))
                elif type(value) is ALLOCATOR:
                    patch.setattr(module, attribute, memory.new_uncleared)
