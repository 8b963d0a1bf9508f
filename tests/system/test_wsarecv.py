"""`wsarecv`: several buffers, and what is refused beforehand."""

from __future__ import annotations

import array
import mmap
import socket
import sys
import threading
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import bound
from tests.peers import Counted, pattern, socket_pair, stdlib_pair
from tests.receiving import winerror
from trio_wsarecv import MsgFlag, ReceiveResult, WinsockError, wsarecv
from trio_wsarecv._winsock import calls

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
PUSH, PARTIAL = MsgFlag.MSG_PUSH_IMMEDIATE, MsgFlag.MSG_PARTIAL


SIZES = {
    "one": [100],
    "several": [3, 90, 7],
    "with empty ones": [0, 0, 40, 0, 60, 0],
    "single bytes": [1] * 100,
    "much room": [50, 1000, 1 << 20],
    "too little room": [10, 0, 20],
    "hundreds": [3] * 900,
    "thousands": [1, 0] * 2000,
    "thousands of empty ones first": [0] * 3000 + [100],
}


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
async def test_buffers_are_filled_in_order_without_holes(sizes: list[int], pending: bool) -> None:
    data = pattern(100)
    buffers = [bytearray(b"." * size) for size in sizes]
    results: list[ReceiveResult] = []
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                results.append(await wsarecv(sock, buffers))

            if pending:
                await wait_all_tasks_blocked()
            other.sendall(data)
        (result,) = results
        expected = min(sum(sizes), 100)
        assert result == (expected, MsgFlag(0))
        assert b"".join(buffers) == data[: result.nbytes] + b"." * (sum(sizes) - result.nbytes)
        rest = data[result.nbytes :]
        if rest:
            assert await sock.recv(1000) == rest


@pytest.mark.parametrize("count", [2, 1024, 1025, 3000])
async def test_any_number_of_buffers_can_be_filled(count: int) -> None:
    data = pattern(count * 3)
    buffers = [bytearray(3) for _ in range(count)]
    with socket_pair() as (sock, other):
        other.sendall(data + b"rest")
        assert await wsarecv(sock, buffers, WAITALL) == (len(data), MsgFlag(0))
        assert b"".join(buffers) == data
        assert await sock.recv(100) == b"rest"


@pytest.mark.parametrize("count", [2, 1024, 1025, 3000])
async def test_a_datagram_goes_into_any_number_of_buffers(count: int) -> None:
    data = pattern(count)
    with (
        trio_wsarecv.from_stdlib_socket(bound()) as sock,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        for sent in (data, data[:-1], data + b"?", b""):
            buffers = [bytearray(b".") for _ in range(count)]
            sender.sendto(sent, sock.getsockname())
            nbytes, flags = await wsarecv(sock, buffers)
            assert nbytes == min(len(sent), count)
            assert flags == (MsgFlag.MSG_TRUNC if len(sent) > count else 0)
            assert b"".join(buffers) == (sent + b"..")[:count].ljust(count, b".")


@pytest.mark.skipif(sys.platform != "linux", reason="no datagram is so large")
@pytest.mark.parametrize("count", [2, 1023, 1024, 1500])
async def test_a_large_datagram_goes_into_any_number_of_buffers(count: int) -> None:
    data = pattern(100_000)
    one, sender = socket.socketpair(type=socket.SOCK_DGRAM)
    with trio_wsarecv.from_stdlib_socket(one) as sock, sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sender.send(data)
        buffers = [bytearray(100_000 // count + 1) for _ in range(count)]
        assert await wsarecv(sock, buffers) == (len(data), 0)
        assert b"".join(buffers)[: len(data)] == data


async def test_buffers_may_be_of_any_kind_that_can_be_written_to() -> None:
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


async def test_a_buffer_may_be_given_more_than_once() -> None:
    # The last one who writes is right: what the buffer held before was the program's to give up.
    buffer = bytearray(4)
    with socket_pair() as (sock, other):
        other.sendall(b"abcdefgh")
        assert await wsarecv(sock, [buffer, buffer]) == (8, 0)
        assert buffer == b"efgh"
        other.sendall(b"abcdef")
        with memoryview(buffer) as view:
            assert await wsarecv(sock, [view[:3], view[1:]]) == (6, 0)
        assert buffer == b"adef"


@pytest.mark.parametrize("flags", [0, WAITALL, PUSH])
async def test_empty_buffers_wait_for_data_and_leave_it_where_it_is(flags: int) -> None:
    buffers = [bytearray(), bytearray()]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            results = []

            @nursery.start_soon
            async def receive() -> None:
                results.append(await wsarecv(sock, buffers, flags))

            await wait_all_tasks_blocked()
            assert not results
            other.sendall(b"data")
        assert results == [(0, 0)]
        assert await wsarecv(sock, buffers, flags) == (0, 0)
        assert await sock.recv(10) == b"data"
        other.close()
        assert await wsarecv(sock, buffers, flags) == (0, 0)
        assert await sock.recv(10) == b""


async def test_the_end_of_the_stream_is_no_bytes() -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"last")
        other.shutdown(socket.SHUT_WR)
        buffers = [bytearray(3), bytearray(3)]
        for flags, nbytes in ((0, 4), (0, 0), (WAITALL, 0), (PUSH, 0), (PEEK, 0)):
            assert await wsarecv(sock, buffers, flags) == (nbytes, 0)
        assert b"".join(buffers) == b"last" + bytes(2)


REFUSED: dict[str, tuple[int, list[int], int, WinsockError]] = {
    "no buffers": (socket.SOCK_STREAM, [], 0, WinsockError.WSAEINVAL),
    "no buffers for a datagram": (socket.SOCK_DGRAM, [], 0, WinsockError.WSAEINVAL),
    "no room for a datagram": (socket.SOCK_DGRAM, [0, 0], 0, WinsockError.WSAEINVAL),
    "all, peeking": (socket.SOCK_STREAM, [9], WAITALL | PEEK, WinsockError.WSAEOPNOTSUPP),
    "all, out of band": (socket.SOCK_STREAM, [9], WAITALL | OOB, WinsockError.WSAEOPNOTSUPP),
    "all, a part": (socket.SOCK_STREAM, [9], WAITALL | PARTIAL, WinsockError.WSAEOPNOTSUPP),
    "all of a datagram": (socket.SOCK_DGRAM, [9], WAITALL, WinsockError.WSAEOPNOTSUPP),
    "datagram out of band": (socket.SOCK_DGRAM, [9], OOB, WinsockError.WSAEOPNOTSUPP),
    "a flag of output": (socket.SOCK_STREAM, [9], MsgFlag.MSG_TRUNC, WinsockError.WSAEOPNOTSUPP),
    "a flag of sending": (socket.SOCK_STREAM, [9], 0x4, WinsockError.WSAEOPNOTSUPP),
    "an unknown flag": (socket.SOCK_STREAM, [9], 0x10000, WinsockError.WSAEOPNOTSUPP),
    "the highest flag": (socket.SOCK_STREAM, [9], 2**31, WinsockError.WSAEOPNOTSUPP),
    "no flag": (socket.SOCK_STREAM, [9], 2**64, WinsockError.WSAEOPNOTSUPP),
    "a negative number": (socket.SOCK_STREAM, [9], -1, WinsockError.WSAEOPNOTSUPP),
}


@pytest.mark.parametrize(("kind", "sizes", "flags", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_the_documentation_rules_out_does_not_reach_the_kernel(
    kind: int, sizes: list[int], flags: int, code: WinsockError
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound()) as datagrams, socket_pair() as (stream, other):
        sock = stream if kind == socket.SOCK_STREAM else datagrams
        other.sendall(b"data")
        datagrams.stdlib.sendto(b"data", datagrams.getsockname())
        buffers = [bytearray(size) for size in sizes]
        counted = Counted()
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await wsarecv(sock, buffers, flags)
        assert winerror(caught.value) == code
        assert counted.wsarecv_calls == counted.immediate == counted.pended == 0
        assert not any(b"".join(buffers))
        assert await sock.recv(10) == b"data"


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


@pytest.mark.parametrize(
    ("buffers", "flags", "kind"),
    [
        (None, 0, TypeError),
        (5, 0, TypeError),
        (bytearray(5), 0, TypeError),
        ([None], 0, TypeError),
        (["text"], 0, TypeError),
        ([b"read-only"], 0, TypeError),
        ([bytearray(5), memoryview(b"read-only")], 0, TypeError),
        ([bytearray(5), memoryview(bytearray(8))[::2]], 0, BufferError),
        ([memoryview(bytearray(8))[::-1]], WAITALL, BufferError),
        ([bytearray(5)], "0", TypeError),
        ([bytearray(5)], None, TypeError),
        ([bytearray(5)], 1.0, TypeError),
    ],
)
async def test_what_cannot_be_received_into_is_refused(
    buffers: Any, flags: Any, kind: type[Exception]
) -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        counted = Counted()
        with pytest.raises(kind):
            await wsarecv(sock, buffers, flags)
        assert counted.wsarecv_calls == 0
        if isinstance(buffers, list) and isinstance(buffers[0], bytearray):
            assert buffers[0] == bytes(5)
            buffers[0].append(0)
        assert await sock.recv(10) == b"data"


async def test_only_a_socket_of_this_package_will_do() -> None:
    with stdlib_pair() as (one, _):
        for sock in (one, trio.socket.from_stdlib_socket(one), one.fileno(), None):
            with pytest.raises(TypeError, match="from_stdlib_socket"):
                await wsarecv(sock, [bytearray(1)])  # type: ignore[arg-type]


@pytest.mark.parametrize("flags", [0, PEEK, WAITALL, PUSH])
async def test_every_call_is_a_checkpoint(flags: int) -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data" * 10)
        await trio.lowlevel.wait_readable(sock)
        for buffers in ([bytearray(2)], [bytearray(1), bytearray(1)], [bytearray()]):
            with assert_checkpoints():
                await wsarecv(sock, buffers, flags)
        with trio.CancelScope() as scope:
            scope.cancel()
            await wsarecv(sock, [bytearray(10)], flags)
        assert scope.cancelled_caught
        assert len(await sock.recv(100)) == (40 if flags & PEEK else 36)


def test_what_a_thread_has_received_on_goes_on_in_another() -> None:
    with stdlib_pair() as (one, other):
        sock = trio_wsarecv.from_stdlib_socket(one)

        async def cancel() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wsarecv, sock, [bytearray(4)], WAITALL)
                await wait_all_tasks_blocked()
                other.sendall(b"da")
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()

        async def receive() -> None:
            buffer = bytearray(4)
            assert await wsarecv(sock, [buffer], WAITALL) == (4, 0)
            assert buffer == b"data"

        thread = threading.Thread(target=trio.run, args=(cancel,))
        thread.start()
        thread.join()
        other.sendall(b"ta")
        trio.run(receive)
