"""Several buffers: what the kernel is given of them, and which flags go in and come out."""

from __future__ import annotations

import ctypes
import itertools
import socket
from collections.abc import Sequence

import pytest

from tests.receiving import winerror
from tests.simulation import CancelAnswer, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, WinsockError, wsarecv
from trio_wsarecv._engine.messages import check_request
from trio_wsarecv._winsock.codes import NtStatus

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
PUSH, PARTIAL = MsgFlag.MSG_PUSH_IMMEDIATE, MsgFlag.MSG_PARTIAL


def filled(buffers: Sequence[bytearray]) -> bytes:
    return b"".join(buffers)


async def test_what_the_kernel_is_given_is_what_was_asked_for(simulation: Simulation) -> None:
    sizes = [5, 0, 7, 1]
    # A datagram that does not fit has room behind the program's buffers.
    for sock, behind in ((simulation.stream(), []), (simulation.datagrams(), [65536])):
        call = await simulation.begin(wsarecv, sock, [bytearray(size) for size in sizes], PUSH)
        (request,) = sock.peer.requests
        assert [size for _, size in request.buffers] == sizes + behind
        assert request.flags == PUSH
        sock.peer.send(b"data")
        await simulation.step()
        assert call.value == (4, 0)


@pytest.mark.parametrize("count", [1023, 1024, 1025, 3000])
async def test_a_call_is_given_1024_buffers_at_the_most(simulation: Simulation, count: int) -> None:
    for sock in (simulation.stream(), simulation.datagrams()):
        buffers = [bytearray(2) for _ in range(count)]
        call = await simulation.begin(wsarecv, sock, buffers)
        (request,) = sock.peer.requests
        assert len(request.buffers) <= 1024
        sock.peer.send(b"datagram!")
        await simulation.step()
        assert call.value == (9, 0)
        assert filled(buffers) == b"datagram!".ljust(2 * count, b"\0")


async def test_winsock_is_not_asked_to_wait_for_all(simulation: Simulation) -> None:
    # It refuses that on a non-blocking socket.
    sock = simulation.stream()
    call = simulation.call(wsarecv, sock, [bytearray(3), bytearray(9)], WAITALL | PUSH)
    for piece in (b"abcde", b"fghijkl"):
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.flags == PUSH
        sock.peer.send(piece)
        await simulation.step()
    assert call.value == (12, 0)


async def test_kernel_buffers_go_on_where_the_last_receive_stopped(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    buffers = [bytearray(b"." * size) for size in (3, 0, 4, 2, 0)]
    call = simulation.call(wsarecv, sock, buffers, WAITALL)
    for piece, room in ((b"ab", 9), (b"c", 7), (b"def", 6), (b"g", 3), (b"hi", 2)):
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.capacity == room
        sock.peer.send(piece)
        await simulation.step()
    assert call.value == (9, 0)
    assert filled(buffers) == b"abcdefghi"


async def test_any_number_of_buffers_without_room_is_passed_over(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    nothing = [bytearray(0)] * 1500
    one, two = bytearray(1), bytearray(1)
    sock.peer.send(b"12")
    assert await wsarecv(sock, [*nothing, one, *nothing, two, *nothing], WAITALL) == (2, 0)
    assert one + two == b"12"


async def test_several_buffers_without_room_take_nothing(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.send(b"data")
    assert await wsarecv(sock, [bytearray(0), bytearray(0)]) == (0, 0)
    assert sock.peer.waiting == b"data"


async def test_a_buffer_without_room_may_have_several_dimensions(simulation: Simulation) -> None:
    sock = simulation.stream()
    nothing = ((ctypes.c_char * 0) * 3)()
    buffer = bytearray(8)
    call = await simulation.begin(wsarecv, sock, [nothing, buffer], WAITALL)
    sock.peer.send(b"some")
    await simulation.step()
    call.scope.cancel()
    await simulation.step()
    assert call.cancelled
    sock.peer.send(b"more")
    again = simulation.call(wsarecv, sock, [nothing, buffer], WAITALL)
    await simulation.step()
    assert again.value == (8, 0)
    assert buffer == b"somemore"


@pytest.mark.parametrize("ending", ["refused", "reset", "cancelled"])
async def test_waiting_for_all_loses_nothing_when_it_fails_or_is_cancelled(
    simulation: Simulation, ending: str
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(wsarecv, sock, [bytearray(3), bytearray(9)], WAITALL)
    sock.peer.send(b"abcde")
    if ending == "refused":
        sock.peer.refusals.append(WinsockError.WSAENETDOWN)
    else:
        await simulation.step()
        sock.peer.reset() if ending == "reset" else call.scope.cancel()
    await simulation.step()
    if ending == "cancelled":
        assert call.cancelled
    else:
        reset = ending == "reset"
        expected = WinsockError.WSAECONNRESET if reset else WinsockError.WSAENETDOWN
        assert winerror(call.error) == expected
    simulation.deliver_automatically()
    assert await sock.recv(100) == b"abcde"


@pytest.mark.parametrize("answer", CancelAnswer)
async def test_a_cancelled_receive_gives_its_bytes_or_leaves_them(
    simulation: Simulation, answer: CancelAnswer
) -> None:
    simulation.behaviour.cancel = answer
    sock: SocketOverSimulation = simulation.stream()
    buffers = [bytearray(2), bytearray(9)]
    call = await simulation.begin(wsarecv, sock, buffers)
    simulation.behaviour.prompt = False
    sock.peer.send(b"data")
    call.scope.cancel()
    await simulation.step()
    if call.cancelled:
        assert answer is CancelAnswer.ABORTED
        call = simulation.call(wsarecv, sock, buffers)
        await simulation.step()
    assert call.value == (4, 0)
    assert filled(buffers) == b"data" + bytes(7)


OUT = {
    NtStatus.SUCCESS: MsgFlag(0),
    NtStatus.RECEIVE_PARTIAL: PARTIAL,
    NtStatus.RECEIVE_EXPEDITED: OOB,
    NtStatus.RECEIVE_PARTIAL_EXPEDITED: PARTIAL | OOB,
    NtStatus.BUFFER_OVERFLOW: MsgFlag.MSG_TRUNC,
}


@pytest.mark.parametrize("status", OUT)
async def test_the_completion_says_which_flags_come_out(
    simulation: Simulation, status: NtStatus
) -> None:
    sock = simulation.datagrams()
    buffers = [bytearray(b"...") for _ in range(3)]
    call = await simulation.begin(wsarecv, sock, buffers, PARTIAL)
    (request,) = sock.peer.requests
    assert request.flags == PARTIAL
    sock.peer.end(status, b"data")
    await simulation.step()
    assert call.value == (4, OUT[status])
    assert isinstance(call.value.flags, MsgFlag)
    assert filled(buffers) == b"data....."


@pytest.mark.parametrize("method", ["wsarecv", "recvmsg", "recvmsg_into"])
@pytest.mark.parametrize("status", [NtStatus.RECEIVE_PARTIAL, NtStatus.RECEIVE_EXPEDITED])
async def test_the_flags_of_all_parts_of_a_receive_come_out(
    simulation: Simulation, status: NtStatus, method: str
) -> None:
    sock = simulation.stream()
    for statuses in itertools.product((NtStatus.SUCCESS, status), repeat=3):
        if method == "wsarecv":
            call = simulation.call(wsarecv, sock, [bytearray(5), bytearray(7)], WAITALL)
        elif method == "recvmsg":
            call = simulation.call(sock.recvmsg, 12, 0, WAITALL)
        else:
            call = simulation.call(sock.recvmsg_into, [bytearray(12)], 0, WAITALL)
        for each in statuses:
            await simulation.run()
            sock.peer.send(b"part", each)
            await simulation.step()
        flags = OUT[status] if status in statuses else MsgFlag(0)
        if method == "wsarecv":
            assert call.value == (12, flags)
        else:
            received = b"partpartpart" if method == "recvmsg" else 12
            assert call.value == (received, [], flags, None)


@pytest.mark.parametrize("method", ["wsarecv", "recvmsg", "recvmsg_into"])
async def test_an_urgent_byte_is_told_by_a_flag_and_the_end_of_the_stream_by_none(
    simulation: Simulation, method: str
) -> None:
    simulation.deliver_automatically()
    for data, flag in ((b"!", OOB), (b"", 0)):
        sock = simulation.stream()
        if data:
            sock.peer.send_urgent(data)
        if method == "wsarecv":
            call = simulation.call(wsarecv, sock, [bytearray(5)], OOB)
        elif method == "recvmsg":
            call = simulation.call(sock.recvmsg, 5, 0, OOB)
        else:
            call = simulation.call(sock.recvmsg_into, [bytearray(5)], 0, OOB)
        await simulation.run()
        if not data:
            sock.peer.end(NtStatus.SUCCESS)  # which is how it ends that none will come
        await simulation.step()
        nbytes, flags = call.value[0], call.value[1 if method == "wsarecv" else 2]
        assert nbytes == (data if method == "recvmsg" else len(data))
        assert flags == flag


async def test_a_message_in_parts_is_complete_when_the_flag_is_gone(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    message = b""
    flags = PARTIAL
    for status in (NtStatus.RECEIVE_PARTIAL, NtStatus.RECEIVE_PARTIAL, NtStatus.SUCCESS):
        assert flags & PARTIAL
        buffer = bytearray(4)
        call = await simulation.begin(wsarecv, sock, [buffer])
        sock.peer.end(status, b"part")
        await simulation.step()
        nbytes, flags = call.value
        message += buffer[:nbytes]
    assert not flags
    assert message == b"part" * 3


def ruled_out(kind: int, sizes: Sequence[int], flags: int) -> int:
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
        assert (error or 0) == ruled_out(kind, sizes, flags), hex(flags)
