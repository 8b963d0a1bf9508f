"""Receives that return new bytes: how many each asks for, and what the run has lent for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from tests.peers import pattern
from tests.receiving import winerror
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.codes import NtStatus

SIZES = SMALL, MEDIUM, LARGE = 1024, 16 * 1024, 256 * 1024
MOST_LENT = 8 * 1024 * 1024  # of what is not small, in one run
MOST_LARGE = MOST_LENT // LARGE


def capacity(sock: SocketOverSimulation) -> int:
    """Return how many bytes the pending receive asks for."""
    (request,) = sock.peer.requests
    return int(request.capacity)


def offers(sock: SocketOverSimulation) -> list[int]:
    """Return a list to which each overlapped receive adds how many bytes it asks for."""
    submit, sizes = sock.peer.submit, []

    def recording(request: Any) -> int:
        if request.address:
            sizes.append(request.capacity)
        return int(submit(request))

    sock.peer.submit = recording
    return sizes


def blocks(simulation: Simulation) -> list[int]:
    """Return the sizes of the blocks that the run has for lending, lent or free."""
    sizes = (block.size for block in simulation.kernel.memory.blocks.values())
    return sorted(size for size in sizes if size in SIZES[1:])


async def receive(
    simulation: Simulation, sock: SocketOverSimulation, nbytes: int = LARGE, flags: int = 0
) -> bytes:
    """Receive what has arrived."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, sock.recv, nbytes, flags)
        await simulation.step()
        if not call.done:
            simulation.deliver_automatically()  # otherwise the test would hang
        data: bytes = call.value
        return data


async def make_flow(simulation: Simulation, sock: SocketOverSimulation, size: int = LARGE) -> None:
    """Fill receives until the next one may be of this size."""
    for each in SIZES:
        if each < size:
            sock.peer.send(bytes(each))
            assert len(await receive(simulation, sock)) == each


async def make_flows(
    simulation: Simulation, count: int, *, made_here: bool = False
) -> list[SocketOverSimulation]:
    """Make connections whose next receive is a large one."""
    sockets = [simulation.stream(made_here=made_here) for _ in range(count)]
    for sock in sockets:
        await make_flow(simulation, sock)
    return sockets


async def begin(simulation: Simulation, *sockets: SocketOverSimulation) -> list[Call]:
    """Start a receive of `LARGE` bytes on each, one after the other."""
    return [await simulation.begin(sock.recv, LARGE) for sock in sockets]


def refuse(
    sock: SocketOverSimulation,
    times: int = 1,
    status: NtStatus = NtStatus.INSUFFICIENT_RESOURCES,
) -> None:
    """Have the system lack memory: for a pending receive by this status, then for the next ones."""
    if sock.peer.requests:
        sock.peer.end(status)
        times -= 1
    sock.peer.refusals += [WinsockError.WSAENOBUFS] * times
    sock.peer.arrived()


#: What may happen to a receive, and what the program sees of it, if anything.
ENDINGS: dict[str, tuple[Callable[[SocketOverSimulation, Call], object], object]] = {
    "data": (lambda sock, _: sock.peer.send(pattern(5000)), pattern(5000)),
    "end": (lambda sock, _: sock.peer.send_end(), b""),
    "reset": (lambda sock, _: sock.peer.reset(), WinsockError.WSAECONNRESET),
    "no buffers": (lambda sock, _: refuse(sock, 3), WinsockError.WSAENOBUFS),
    "shut down": (lambda sock, _: sock.shutdown(2), WinsockError.WSAESHUTDOWN),
    "cancelled": (lambda _, call: call.scope.cancel(), trio.Cancelled),
    "closed": (lambda sock, _: sock.close(), trio.ClosedResourceError),
    "aborted": (lambda sock, _: sock.peer.end(NtStatus.CANCELLED), None),
    "deferred": (lambda sock, _: sock.peer.end(NtStatus.CONNECTION_RESET, b"data"), b"data"),
    "too much": (lambda sock, _: refuse(sock), None),
}


def outcome_of(call: Call) -> object:
    """Return what a call gave: its value, the code of its `OSError`, or the type of its error."""
    if call.succeeded:
        return call.value
    return winerror(call.error) if isinstance(call.error, OSError) else type(call.error)
