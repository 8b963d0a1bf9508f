"""Flags that come out and go in, and out-of-band data, for every choice that Windows has."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from tests.receiving import winerror
from tests.simulation import Simulation
from tests.simulation.behaviour import WaitAll
from trio_wsarecv import MsgFlag, Socket, wsarecv
from trio_wsarecv._engine.messages import check_request
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .receives import complete, every_choice, every_engine, receive_when, socket_for, when
from .test_messages import recvmsg_into

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
PUSH, PARTIAL = MsgFlag.MSG_PUSH_IMMEDIATE, MsgFlag.MSG_PARTIAL


async def by_wsarecv(
    sock: Socket, nbytes: int, _: int, flags: int
) -> tuple[bytes, list[Any], MsgFlag, None]:
    """Return what `recvmsg` would."""
    buffers = [bytearray(nbytes // 2), bytearray(nbytes - nbytes // 2)]
    received, flags_out = await wsarecv(sock, buffers, flags)
    assert isinstance(flags_out, MsgFlag)
    return b"".join(buffers)[:received], [], flags_out, None


with_flags = pytest.mark.parametrize("receive", [by_wsarecv, Socket.recvmsg, recvmsg_into])


# Flags that come out.

OUT = {
    NtStatus.SUCCESS: MsgFlag(0),
    NtStatus.RECEIVE_PARTIAL: PARTIAL,
    NtStatus.RECEIVE_EXPEDITED: OOB,
    NtStatus.RECEIVE_PARTIAL_EXPEDITED: PARTIAL | OOB,
    NtStatus.BUFFER_OVERFLOW: MsgFlag.MSG_TRUNC,
}


@every_choice("inline_iosb", "flags_out")
@when
@pytest.mark.parametrize("flags_in", [0, PUSH, PARTIAL])
@pytest.mark.parametrize("status", [status for status in OUT if not status >> 31])
async def test_the_status_of_a_stream_receive_becomes_flags(
    simulation: Simulation, status: NtStatus, flags_in: int, pending: bool
) -> None:
    sock = simulation.stream()
    arrives = partial(sock.peer.send, b"data!", status)
    call = await receive_when(simulation, pending, arrives, by_wsarecv, sock, 5, 0, flags_in)
    assert call.value == (b"data!", [], OUT[status], None)
    call = await receive_when(simulation, pending, arrives, sock.recv, 5)
    assert call.value == b"data!"


@pytest.mark.parametrize("status", OUT)
async def test_the_status_of_a_datagram_receive_becomes_flags(
    simulation: Simulation, status: NtStatus
) -> None:
    sock = simulation.datagrams()
    call = await simulation.begin(by_wsarecv, sock, 9, 0, PARTIAL)
    (request,) = sock.peer.requests
    assert request.flags == PARTIAL
    sock.peer.end(status, b"data")
    await simulation.step()
    assert call.value == (b"data", [], OUT[status], None)


@pytest.mark.parametrize("status", [NtStatus.RECEIVE_PARTIAL, NtStatus.RECEIVE_EXPEDITED])
@with_flags
async def test_the_flags_of_all_parts_of_a_receive_come_out(
    simulation: Simulation, receive: Any, status: NtStatus
) -> None:
    sock = simulation.stream()
    for statuses in itertools.product((NtStatus.SUCCESS, status), repeat=3):
        call = simulation.call(receive, sock, 12, 0, WAITALL)
        for each in statuses:
            await simulation.run()
            sock.peer.send(b"part", each)
            await simulation.step()
        flags = OUT[status] if status in statuses else 0
        assert call.value == (b"partpartpart", [], flags, None)


@every_choice("flags_out")
@every_engine
@pytest.mark.parametrize("flags", [PUSH, PARTIAL])
async def test_flags_that_go_in_do_not_come_out(
    simulation: Simulation, engine: str, flags: int
) -> None:
    sock = socket_for(simulation, engine)
    sock.peer.send(b"data!")
    call = await complete(simulation, by_wsarecv, sock, 5, 0, flags)
    assert call.value == (b"data!", [], 0, None)


# Out-of-band data.


@every_choice("flags_out", "urgent_status")
@when
@with_flags
async def test_out_of_band_data_is_flagged(
    simulation: Simulation, made_here: bool, receive: Any, pending: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    arrives = partial(sock.peer.send_urgent, b"!")
    call = await receive_when(simulation, pending, arrives, receive, sock, 5, 0, OOB)
    assert call.value == (b"!", [], OOB, None)
    end = await simulation.begin(receive, sock, 5, 0, OOB)
    sock.peer.end(NtStatus.SUCCESS)  # no out-of-band data will come
    await simulation.step()
    assert end.value == (b"", [], 0, None)


# Flags that go in.


@every_choice("wait_all")
async def test_recv_passes_waitall_on(simulation: Simulation, made_here: bool) -> None:
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(b"data")
    call = await complete(simulation, sock.recv, 6, WAITALL)
    match simulation.behaviour.wait_all:
        case WaitAll.REFUSED:
            assert winerror(call.error) == WinsockError.WSAEOPNOTSUPP
        case WaitAll.IGNORED:
            assert call.value == b"data"
        case WaitAll.WAITS:
            assert not call.done
            sock.peer.send(b"da")
            await simulation.step()
            assert call.value == b"datada"


def documented_error(kind: int, sizes: Sequence[int], flags: int) -> int:
    """Return the code that WSARecv's documentation gives, or 0: its sentences, one by one."""
    stream = kind == socket.SOCK_STREAM
    if not sizes:
        return 10022
    if not stream and not sum(sizes):
        return 10022  # ours: Winsock would discard the datagram
    if flags >= 1 << 16 or flags & ~0x802B:
        return 10045
    if flags & 0x1 and not stream:
        return 10045
    if flags & 0x8 and (not stream or flags & 0x8003):
        return 10045
    return 0


FLAGS = (OOB, PEEK, WAITALL, PUSH, PARTIAL)
EVERY_COMBINATION = [
    sum(flags) for n in range(6) for flags in itertools.combinations(map(int, FLAGS), n)
]
UNKNOWN = [1 << n for n in range(32) if not 0x802B & 1 << n] + [2**32, 2**64, 0x802B | 2**16]


@pytest.mark.parametrize("sizes", [[], [0], [0, 0], [0, 5], [1]], ids=str)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_every_combination_of_flags_is_allowed_or_refused(kind: int, sizes: list[int]) -> None:
    for flags in (*EVERY_COMBINATION, *UNKNOWN):
        error = check_request(flags, sizes, kind)
        assert (error or 0) == documented_error(kind, sizes, flags), hex(flags)
