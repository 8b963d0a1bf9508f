"""`statistics`: what is counted of receives."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest

import trio_wsarecv
from tests.datagrams import Pair
from tests.peers import Counted, socket_pair, stdlib_pair
from tests.receiving import RECEIVES, Receive, every_receive
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, Statistics, WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .receives import socket_for

on_windows = sys.platform == "win32"


def test_statistics_are_frozen() -> None:
    statistics = trio_wsarecv.statistics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.bytes = 0  # type: ignore[misc]
    assert all(type(value) is int for value in dataclasses.astuple(statistics))


async def test_sockets_and_their_receives_are_counted() -> None:
    counted = Counted()
    with stdlib_pair() as (one, other):
        for sock in (trio_wsarecv.from_stdlib_socket(one), trio_wsarecv.from_stdlib_socket(one)):
            other.sendall(b"data")
            assert await sock.recv(100) == b"data"
        assert sock.engine.startswith("overlapped" if on_windows else "readiness: ")
    assert counted.sockets == 1
    assert counted.readiness == (0 if on_windows else 2)


@every_receive
async def test_the_bytes_that_any_call_receives_are_counted(pair: Pair, receive: Receive) -> None:
    counted = Counted()
    pair.send(b"datagram")
    await receive(pair.sock)
    assert (counted.bytes, counted.datagrams, counted.truncated) == (8, 1, 0)
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        await receive(sock)
    assert (counted.bytes, counted.datagrams) == (12, 1)


async def nothing(sock: SocketOverSimulation) -> None:
    """Call all that needs no kernel."""
    stream = SocketStream(sock)
    assert await stream.receive_exactly(0) == b""
    assert await stream.receive_into(bytearray()) == 0
    with pytest.raises(ValueError, match=r"max_bytes"):
        await stream.receive_some(0)


RECEIVE: dict[str, Any] = {
    **{f"begin {name}": receive for name, receive in RECEIVES.items()},
    "begin": lambda sock: sock.recv(100),
    "begin exactly": lambda sock: SocketStream(sock).receive_exactly(6),
    "begin small": lambda sock: sock.recvmsg(3),
    "begin peek": lambda sock: sock.recvmsg(3, 0, MsgFlag.MSG_PEEK),
    "begin many": lambda sock: sock.recvfrom_many(9, 3),
    "begin nothing": nothing,
}
EVENTS: dict[str, Any] = {
    "data": lambda sock, _: sock.peer.send(b"data"),
    "refuse": lambda sock, _: sock.peer.refusals.append(WinsockError.WSAENETDOWN),
    "reset": lambda sock, _: sock.peer.reset(),
    "abort": lambda sock, _: sock.peer.end(NtStatus.CANCELLED),
    "abort with data": lambda sock, _: sock.peer.end(NtStatus.CANCELLED, b"data"),
    "cancel": lambda _, call: call.scope.cancel(),
    "close": lambda sock, _: sock.close(),
}
TOO_LATE = {"pended": 1, "received_despite_cancel": 1, "bytes": 4, "overlapped": 1}
ONE = {"bytes": 4, "datagrams": 1}

#: What happens to a stream, and what is counted; "." delivers the packets.
ON_STREAMS: dict[str, dict[str, int]] = {
    "begin nothing": {},
    "data, begin, .": {"immediate": 1, "bytes": 4, "overlapped": 1},
    "begin, data, .": {"pended": 1, "bytes": 4, "overlapped": 1},
    "begin, cancel, .": {"pended": 1, "cancelled": 1, "overlapped": 1},
    "begin, data, cancel, .": TOO_LATE,
    "begin, data, close, .": {"pended": 1, "bytes": 4, "overlapped": 1},
    "refuse, begin": {"failed": 1, "overlapped": 1},
    "begin, reset, .": {"pended": 1, "failed": 1, "overlapped": 1},
    "begin, abort, data, .": {"pended": 1, "bytes": 4, "overlapped": 2},
    "begin, abort, ., data, .": {"pended": 1, "bytes": 4, "overlapped": 2},
    **{f"begin {name}, abort with data, cancel, .": TOO_LATE for name in RECEIVES},
    # The bytes that are pushed back are counted when they have come.
    "begin exactly, data, ., cancel, ., begin": {
        **{"pended": 2, "cancelled": 1, "bytes": 4, "overlapped": 2}
    },
}
ON_DATAGRAMS: dict[str, dict[str, int]] = {
    "data, begin, .": {**ONE, "immediate": 1, "overlapped": 1},
    "begin, data, .": {**ONE, "pended": 1, "overlapped": 1},
    "data, begin small, .": {
        **{"immediate": 1, "bytes": 3, "datagrams": 1, "truncated": 1, "overlapped": 1}
    },
    # A peek takes nothing; the last call of a batch finds nothing.
    "data, begin peek, .": {"immediate": 1, "readiness": 1, "wsarecv_calls": 1},
    "data, data, begin many, .": {
        **{"immediate": 1, "bytes": 6, "datagrams": 2, "truncated": 2, "batches": 1},
        **{"overlapped": 1, "wsarecv_calls": 3},
    },
}
BY_READINESS: dict[str, dict[str, int]] = {
    "data, begin": {**ONE, "immediate": 1, "wsarecv_calls": 1},
    "begin, data, .": {**ONE, "pended": 1, "wsarecv_calls": 2},
    "begin, cancel, .": {"pended": 1, "cancelled": 1, "wsarecv_calls": 1},
    "refuse, begin": {"immediate": 1, "failed": 1, "wsarecv_calls": 1},
    "data, data, begin many": {
        **{"immediate": 1, "bytes": 6, "datagrams": 2, "truncated": 2, "batches": 1},
        "wsarecv_calls": 3,
    },
}
CASES = [
    *(("default mode", True, events, expected) for events, expected in ON_STREAMS.items()),
    *(("skip mode", True, events, expected) for events, expected in ON_STREAMS.items()),
    *(("default mode", False, events, expected) for events, expected in ON_DATAGRAMS.items()),
    *(("readiness", False, events, expected) for events, expected in BY_READINESS.items()),
]


@pytest.mark.parametrize(("engine", "is_stream", "events", "expected"), CASES)
async def test_receives_are_counted_by_how_they_end(
    simulation: Simulation, engine: str, is_stream: bool, events: str, expected: dict[str, int]
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    engine_of = f"{'readiness' if engine == 'readiness' else 'overlapped'}_sockets"
    counted = Counted()
    call: Call | None = None
    for event in events.split(", "):
        if event == ".":
            await simulation.step()
        elif event in RECEIVE:
            call = await simulation.begin(RECEIVE[event], sock)
        else:
            EVENTS[event](sock, call)
    assert call is not None
    assert call.done
    counts = {each.name: getattr(counted, each.name) for each in dataclasses.fields(Statistics)}
    default = {"wsarecv_calls": expected.get("overlapped", 0)} if expected else {}
    default |= {"readiness": 1} if engine == "readiness" else {}
    default |= {engine_of: 1} if expected else {}
    assert {name: count for name, count in counts.items() if count} == {
        name: count for name, count in {**default, **expected}.items() if count
    }
