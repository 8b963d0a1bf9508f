"""`wsarecv`: several buffers, and flags."""

from __future__ import annotations

import array
import mmap
import socket
import struct
import sys
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import Pair
from tests.peers import Counted, pattern, receive_when, socket_pair, stdlib_pair, when
from tests.receiving import on_windows
from tests.simulation import Call
from tools.windows import WINE
from trio_wsarecv import MsgFlag, ReceiveResult, WinsockError, wsarecv
from trio_wsarecv._winsock import calls

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
PUSH = MsgFlag.MSG_PUSH_IMMEDIATE

SIZES = {
    "with empty ones": [0, 0, 40, 0, 60, 0],
    "much room": [50, 1000, 1 << 20],
    "too little room": [10, 0, 20],
    "thousands": [1, 0] * 2000,
    "thousands of empty ones first": [0] * 3000 + [100],
}


@when
@pytest.mark.parametrize("flags", [0, PUSH])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
async def test_buffers_are_filled_in_order_without_gaps(
    sizes: list[int], flags: int, pending: bool
) -> None:
    data = pattern(100)
    buffers = [bytearray(b"." * size) for size in sizes]
    with socket_pair() as (sock, other):
        result = await receive_when(
            pending, lambda: wsarecv(sock, buffers, flags), lambda: other.sendall(data)
        )
        nbytes = min(sum(sizes), 100)
        assert result == (nbytes, MsgFlag(0))
        assert b"".join(buffers) == data[:nbytes] + b"." * (sum(sizes) - nbytes)
        if rest := data[nbytes:]:
            assert await sock.recv(1000) == rest


@pytest.mark.parametrize("count", [1024, 3000])
async def test_any_number_of_buffers_can_be_filled(count: int) -> None:
    data = pattern(count * 3)
    buffers = [bytearray(3) for _ in range(count)]
    with socket_pair() as (sock, other):
        other.sendall(data + b"rest")
        assert await wsarecv(sock, buffers, WAITALL) == (len(data), MsgFlag(0))
        assert b"".join(buffers) == data
        assert await sock.recv(100) == b"rest"


@pytest.mark.parametrize("count", [1024, 3000])
async def test_a_datagram_goes_into_any_number_of_buffers(pair: Pair, count: int) -> None:
    data = pattern(count)
    for sent in (data, data[:-1], data + b"?", b""):
        buffers = [bytearray(b".") for _ in range(count)]
        pair.send(sent)
        nbytes, flags = await wsarecv(pair.sock, buffers)
        assert nbytes == min(len(sent), count)
        assert flags == (MsgFlag.MSG_TRUNC if len(sent) > count else 0)
        assert b"".join(buffers) == sent[:count].ljust(count, b".")


@pytest.mark.skipif(sys.platform != "linux", reason="no datagram is so large")
@pytest.mark.parametrize("count", [1024, 1500])
async def test_a_large_datagram_goes_into_any_number_of_buffers(count: int) -> None:
    data = pattern(100_000)
    one, sender = socket.socketpair(type=socket.SOCK_DGRAM)
    with trio_wsarecv.from_stdlib_socket(one) as sock, sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sender.send(data)
        buffers = [bytearray(100_000 // count + 1) for _ in range(count)]
        assert await wsarecv(sock, buffers) == (len(data), 0)
        assert b"".join(buffers)[: len(data)] == data


async def test_buffers_may_be_of_any_writable_type() -> None:
    numbers = array.array("I", [0, 0])
    grid = memoryview(bytearray(6)).cast("B", (2, 3))
    middle = bytearray(b"....")
    with mmap.mmap(-1, 10) as mapped, socket_pair() as (sock, other):
        buffers: list[Any] = [array.array("I"), numbers, grid, memoryview(middle)[1:3], mapped]
        other.sendall(pattern(20))
        assert await wsarecv(sock, iter(buffers)) == (20, 0)
        received = bytes(numbers) + bytes(grid) + bytes(middle[1:3]) + mapped[:4]
        assert received == pattern(20)
        assert middle[:1] == middle[3:] == b"."
        assert mapped[4:] == bytes(6)


async def test_empty_buffers_wait_for_data_and_leave_it() -> None:
    buffers = [bytearray(), bytearray()]

    async def receive() -> ReceiveResult:
        return await wsarecv(sock, buffers)

    with socket_pair() as (sock, other):
        assert await receive_when(True, receive, lambda: other.sendall(b"data")) == (0, 0)
        assert await receive() == (0, 0)
        assert await sock.recv(10) == b"data"
        other.close()
        assert await receive() == (0, 0)
        assert await sock.recv(10) == b""


@pytest.mark.real_windows(wine=(10,))
def test_windows_itself_refuses_a_receive_without_buffers() -> None:
    with stdlib_pair() as (one, other):
        other.sendall(b"data")
        memory = calls.ffi.new("RECEIVE *")
        received, flags, overlapped = (
            calls.ffi.addressof(memory, name) for name in ("received", "flags", "overlapped")
        )
        arguments = (one.fileno(), memory.wsabuf, 0, received, flags, overlapped, calls.NULL)
        assert calls.ws2_32.WSARecv(*arguments) == -1
        assert calls.ws2_32.WSAGetLastError() == WinsockError.WSAEINVAL
        assert one.recv(10) == b"data"


# Flags.


async def test_waitall_takes_as_many_receives_as_it_needs() -> None:
    buffers = [bytearray(b"...") for _ in range(4)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, wsarecv, sock, buffers, WAITALL)
            for piece in (b"a", b"bcd", b"efghi", b"jklmno"):
                await wait_all_tasks_blocked()
                other.sendall(piece)
        assert receiver.value == (12, 0)
        assert b"".join(buffers) == b"abcdefghijkl"
        other.close()  # the end of the stream ends it too
        assert await wsarecv(sock, buffers, WAITALL) == (3, 0)
        assert b"".join(buffers) == b"mnodefghijkl"


@when
async def test_peeking_fills_the_buffers_and_leaves_the_data(pending: bool) -> None:
    buffers = [bytearray(2), bytearray(), bytearray(b"...")]
    with socket_pair() as (sock, other):
        result = await receive_when(
            pending, lambda: wsarecv(sock, buffers, PEEK), lambda: other.sendall(b"data")
        )
        assert result == (4, 0)
        assert b"".join(buffers) == b"data."
        assert await wsarecv(sock, [bytearray(1)], PEEK | PUSH) == (1, 0)
        assert await sock.recv(10) == b"data"


async def test_out_of_band_data_is_received_when_asked_for() -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        other.send(b"!", socket.MSG_OOB)
        buffers = [bytearray(b"."), bytearray(b".")]
        counted = Counted()
        while True:  # until the urgent byte has come, Linux says EINVAL where Windows waits
            try:
                nbytes, flags = await wsarecv(sock, buffers, OOB)
                break
            except OSError:
                assert not on_windows
        assert (nbytes, b"".join(buffers)) == (1, b"!.")
        assert flags == OOB
        assert counted.bytes == 1
        assert await sock.recv(10) == b"data"


@pytest.mark.windows
async def test_a_cancelled_receive_of_out_of_band_data_loses_nothing() -> None:
    buffer = bytearray(5)
    with socket_pair() as (sock, other):
        if not WINE:  # which may fail to cancel this while ordinary data is there
            other.sendall(b"data")
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, wsarecv, sock, [buffer], OOB)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await sock.recv(10)
            receiver.scope.cancel()
        assert receiver.cancelled
        nbytes, _ = await receive_when(
            True, lambda: wsarecv(sock, [buffer], OOB), lambda: other.send(b"!", socket.MSG_OOB)
        )
        assert nbytes == 1
        assert buffer == b"!" + bytes(4)
        if WINE:
            other.sendall(b"data")
        assert await sock.recv(10) == b"data"


async def test_a_receive_timeout_of_the_socket_has_no_effect() -> None:
    millisecond: Any = 1 if on_windows else struct.pack("@ll", 0, 1000)
    with socket_pair() as (sock, other):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, millisecond)
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, wsarecv, sock, [bytearray(4)])
            await trio.sleep(0.02)  # longer than the timeout, to see that nothing happens
            assert not receiver.done
            other.sendall(b"data")
        assert receiver.value == (4, 0)
