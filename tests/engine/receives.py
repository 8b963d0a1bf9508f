"""Receives on the simulation: what serves the socket, and what arrives on it, and when."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS, Receive, result_of
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import OPTIONS
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, wsarecv

AsyncTest = Callable[..., Awaitable[None]]

#: What serves a socket: overlapped receives in either mode of completion, or readiness.
ENGINES = ("default mode", "skip mode", "readiness")
every_engine = pytest.mark.parametrize("engine", ENGINES)
both_engines = pytest.mark.parametrize("engine", ["default mode", "readiness"])
when = pytest.mark.parametrize("pending", [False, True], ids=["data first", "receive first"])
both_kinds = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])

#: The receives of `SocketStream`, and all receives of a stream: each takes the 4 bytes "data".
OF_SOCKET_STREAM: dict[str, Receive] = {
    "receive_some": lambda sock: SocketStream(sock).receive_some(),
    "receive_into": lambda sock: SocketStream(sock).receive_into(bytearray(100)),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(4),
    "receive_exactly_into": lambda sock: SocketStream(sock).receive_exactly_into(bytearray(4)),
}
STREAM_RECEIVES: dict[str, Receive] = {
    **RECEIVES,
    **OF_SOCKET_STREAM,
    "recv, MSG_PEEK": lambda sock: sock.recv(100, MsgFlag.MSG_PEEK),
    "wsarecv, MSG_WAITALL": lambda sock: wsarecv(
        sock, [bytearray(2), bytearray(2)], MsgFlag.MSG_WAITALL
    ),
}

#: The receives of many datagrams.
BATCHES: dict[str, Receive] = {
    "recvfrom_many": lambda sock: sock.recvfrom_many(3, 100),
    "recvmsg_many": lambda sock: sock.recvmsg_many(3, 100),
}

#: The receives of several parts, of 10 bytes.
IN_PARTS: dict[str, Receive] = {
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(10),
    "MSG_WAITALL": lambda sock: wsarecv(sock, [bytearray(10)], MsgFlag.MSG_WAITALL),
}


def every_choice(*names: str) -> Callable[[AsyncTest], AsyncTest]:
    """Run a test with every combination of these choices of Windows, attributes of `Behaviour`."""
    combinations = [*itertools.product(*(OPTIONS[name] for name in names))]
    choices = [dict(zip(names, each, strict=True)) for each in combinations]
    ids = [", ".join(getattr(value, "name", str(value)) for value in each) for each in combinations]

    def decorate(test: AsyncTest) -> AsyncTest:
        marked = pytest.mark.parametrize("choices", choices, indirect=True, ids=ids)(test)
        return pytest.mark.usefixtures("choices")(marked)

    return decorate


def socket_for(
    simulation: Simulation, engine: str, *, is_stream: bool = True
) -> SocketOverSimulation:
    """Make a socket that is served by one of `ENGINES`."""
    make = simulation.stream if is_stream else simulation.datagrams
    sock = make(made_here=engine == "skip mode")
    sock.peer.ifs_handles = engine != "readiness"
    return sock


def stream_for(simulation: Simulation, engine: str) -> SocketOverSimulation:
    return socket_for(simulation, engine)


def datagrams_for(simulation: Simulation, engine: str) -> SocketOverSimulation:
    return socket_for(simulation, engine, is_stream=False)


def arrive(sock: SocketOverSimulation, data: bytes) -> None:
    """Have bytes arrive on a stream, or a datagram with its sender."""
    sock.peer.send(data) if sock.peer.is_stream else sock.peer.send(data, SENDER)


def expected_of(sock: SocketOverSimulation, method: str, data: bytes) -> Any:
    """Return what a receive of `tests.receiving.RECEIVES` gives for what `arrive` is given."""
    return result_of(method, data, None if sock.peer.is_stream else SENDER_ADDRESS)


async def complete(
    simulation: Simulation, receive: Callable[..., Awaitable[Any]], *arguments: Any
) -> Call:
    """Start a receive and deliver its packet."""
    call = simulation.call(receive, *arguments)
    await simulation.step()
    return call


async def value_of(
    simulation: Simulation, receive: Callable[..., Awaitable[Any]], *arguments: Any
) -> Any:
    """Return what a receive returns that has to end now."""
    call = await complete(simulation, receive, *arguments)
    return call.value


async def receive_when(
    simulation: Simulation,
    pending: bool,
    something_arrives: Callable[[], object],
    receive: Callable[..., Awaitable[Any]],
    *arguments: Any,
) -> Call:
    """Receive what arrives while the receive waits, if it is to be pending, or else before it."""
    if not pending:
        something_arrives()
    call = await simulation.begin(receive, *arguments)
    if pending:
        assert not call.done
        something_arrives()
    await simulation.step()
    return call
