"""`wsarecv`: several buffers, flags in and out, and what is refused beforehand."""

from __future__ import annotations

import array
import itertools
import mmap
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from trio_wsarecv import MsgFlag, ReceiveResult, WinsockError, wsarecv
from trio_wsarecv._codes import NtStatus
from trio_wsarecv._scatter import check_request

from .peers import Counted, on_wine, pattern, socket_pair, stdlib_pair
from .simulation import Call, CancelAnswer, Simulation, simulated_winsock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .simulation.sockets import SocketOverSimulation

on_windows = sys.platform == "win32"

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
PUSH, PARTIAL = MsgFlag.MSG_PUSH_IMMEDIATE, MsgFlag.MSG_PARTIAL
FLAGS = (OOB, PEEK, WAITALL, PUSH, PARTIAL)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated_winsock() as simulation:
        yield simulation


def datagram_socket() -> trio_wsarecv.Socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return trio_wsarecv.from_stdlib_socket(sock)


def winerror(error: BaseException) -> int:
    assert isinstance(error, OSError)
    code: int = error.winerror  # type: ignore[attr-defined,unused-ignore]
    return code


def filled(buffers: Sequence[bytearray]) -> bytes:
    return b"".join(buffers)


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


# Buffers.


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
        assert filled(buffers) == data[: result.nbytes] + b"." * (sum(sizes) - result.nbytes)
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
        assert filled(buffers) == data
        assert await sock.recv(100) == b"rest"


@pytest.mark.parametrize("count", [2, 1024, 1025, 3000])
async def test_a_datagram_goes_into_any_number_of_buffers(count: int) -> None:
    data = pattern(count)
    with datagram_socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as sender:
        for sent in (data, data[:-1], data + b"?", b""):
            buffers = [bytearray(b".") for _ in range(count)]
            sender.sendto(sent, sock.getsockname())
            nbytes, flags = await wsarecv(sock, buffers)
            assert nbytes == min(len(sent), count)
            assert flags == (MsgFlag.MSG_TRUNC if len(sent) > count else 0)
            assert filled(buffers) == (sent + b"..")[:count].ljust(count, b".")


async def test_what_the_kernel_is_given_is_what_was_asked_for(simulation: Simulation) -> None:
    sizes = [5, 0, 7, 1]
    for sock in (simulation.stream(), simulation.datagrams()):
        async with simulation.nursery() as nursery:
            call = Call(nursery, wsarecv, sock, [bytearray(size) for size in sizes], PUSH)
            await simulation.run()
            (request,) = sock.peer.requests
            assert [size for _, size in request.buffers] == sizes
            assert request.flags == PUSH
            sock.peer.send(b"data")
            await simulation.step()
            assert call.value == (4, 0)
    simulation.check_quiet()


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
        assert filled(buffers) == b"last" + bytes(2)


async def test_bytes_that_were_kept_go_into_the_buffers_first() -> None:
    with socket_pair() as (sock, other):
        sock.receiver.keep(b"0123456789")
        buffers = [bytearray(2), bytearray(), bytearray(3)]
        assert await wsarecv(sock, buffers, PEEK) == (5, 0)
        assert await wsarecv(sock, buffers) == (5, 0)
        assert filled(buffers) == b"01234"
        other.sendall(b"abcdef")
        assert await wsarecv(sock, [bytearray(1), bytearray(), *buffers], WAITALL) == (6, 0)
        assert filled(buffers) == b"6789a"
        assert await sock.recv(10) == b"bcdef"


# What is refused.


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
    with datagram_socket() as datagrams, socket_pair() as (stream, other):
        sock = stream if kind == socket.SOCK_STREAM else datagrams
        other.sendall(b"data")
        datagrams.stdlib.sendto(b"data", datagrams.getsockname())
        buffers = [bytearray(size) for size in sizes]
        counted = Counted()
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await wsarecv(sock, buffers, flags)
        assert winerror(caught.value) == code
        assert counted.wsarecv_calls == counted.immediate == counted.pended == 0
        assert not any(filled(buffers))
        assert await sock.recv(10) == b"data"


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
async def test_a_closed_socket_is_no_socket(flags: int) -> None:
    for sock in (datagram_socket(), trio_wsarecv.from_stdlib_socket(socket.socket())):
        sock.close()
        if sock.type == socket.SOCK_DGRAM and flags & WAITALL:
            continue
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await wsarecv(sock, [bytearray(1)], flags)
        if on_windows:
            assert winerror(caught.value) == WinsockError.WSAENOTSOCK


@pytest.mark.parametrize("flags", [0, PEEK, WAITALL, pytest.param(OOB, marks=pytest.mark.windows)])
async def test_closing_the_socket_ends_the_receive(flags: int) -> None:
    with socket_pair() as (sock, _):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await wsarecv(sock, [bytearray(5), bytearray(5)], flags)

            await wait_all_tasks_blocked()
            sock.close()


async def test_one_task_at_a_time_receives() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await wsarecv(sock, [bytearray(5)], WAITALL) == (5, 0)

            await wait_all_tasks_blocked()
            for _ in range(2):
                with pytest.raises(trio.BusyResourceError):
                    await wsarecv(sock, [bytearray(5)])
                with pytest.raises(trio.BusyResourceError):
                    await sock.recv(5)
                other.sendall(b"123")
                await wait_all_tasks_blocked()


async def test_who_waits_for_all_is_alone_between_two_receives(simulation: Simulation) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, [bytearray(4), bytearray(4)], WAITALL)
        await simulation.run()
        sock.peer.send(b"data")  # so that the kernel has no receive any more
        for attempt in (sock.recv(4), wsarecv(sock, [bytearray(4)])):
            with pytest.raises(trio.BusyResourceError):
                await attempt
        await simulation.step()
        sock.peer.send(b"more")
        await simulation.step()
        assert call.value == (8, 0)


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


# Flags: what goes in.


async def test_waiting_for_all_takes_as_many_receives_as_it_needs() -> None:
    buffers = [bytearray(b"...") for _ in range(4)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await wsarecv(sock, buffers, WAITALL) == (12, 0)

            for piece in (b"a", b"bcd", b"efghi", b"jklmno"):
                await wait_all_tasks_blocked()
                other.sendall(piece)
        assert filled(buffers) == b"abcdefghijkl"
        assert await sock.recv(10) == b"mno"


async def test_waiting_for_all_ends_with_the_stream() -> None:
    buffers = [bytearray(b"...") for _ in range(4)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await wsarecv(sock, buffers, WAITALL) == (5, 0)

            await wait_all_tasks_blocked()
            other.sendall(b"abcde")
            await wait_all_tasks_blocked()
            other.close()
        assert filled(buffers) == b"abcde......."


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"abc", b"defg"]], ids=len)
async def test_waiting_for_all_keeps_what_came_when_cancelled(pieces: list[bytes]) -> None:
    buffers = [bytearray(3) for _ in range(4)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            @nursery.start_soon
            async def receive() -> None:
                with scope:
                    await wsarecv(sock, buffers, WAITALL)

            await wait_all_tasks_blocked()
            for piece in pieces:
                other.sendall(piece)
                await wait_all_tasks_blocked()
            scope.cancel()
        assert scope.cancelled_caught
        for buffer in buffers:
            buffer.clear()
        other.sendall(b"hij")
        buffers = [bytearray(2) for _ in range(2)]
        if pieces:
            nbytes, _ = await wsarecv(sock, buffers)
            assert filled(buffers)[:nbytes] == b"".join(pieces)[:4]
        rest = bytearray(len(b"".join(pieces)[4:]) + 3)
        await trio_wsarecv.SocketStream(sock).receive_exactly_into(rest)
        assert rest == b"".join(pieces)[4:] + b"hij"


@pytest.mark.parametrize("pending", [False, True])
async def test_waiting_for_all_keeps_what_came_when_it_fails(
    simulation: Simulation, pending: bool
) -> None:
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, [bytearray(3), bytearray(9)], WAITALL)
        await simulation.run()
        sock.peer.send(b"abcde")
        if pending:
            await simulation.step()
            sock.peer.reset()
        else:
            sock.peer.refusals.append(WinsockError.WSAENOBUFS)
        await simulation.step()
        expected = WinsockError.WSAECONNRESET if pending else WinsockError.WSAENOBUFS
        assert winerror(call.error) == expected
        simulation.deliver_automatically()
        assert await sock.recv(100) == b"abcde"
    simulation.check_quiet()


async def test_winsock_is_not_asked_to_wait_for_all(simulation: Simulation) -> None:
    # It refuses that on a non-blocking socket.
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, [bytearray(3), bytearray(9)], WAITALL | PUSH)
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
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, buffers, WAITALL)
        for piece, room in ((b"ab", 9), (b"c", 7), (b"def", 6), (b"g", 3), (b"hi", 2)):
            await simulation.run()
            (request,) = sock.peer.requests
            assert request.capacity == room
            sock.peer.send(piece)
            await simulation.step()
        assert call.value == (9, 0)
    assert filled(buffers) == b"abcdefghi"
    simulation.check_quiet()


@pytest.mark.parametrize("pending", [False, True])
async def test_peeking_fills_the_buffers_and_eats_nothing(pending: bool) -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def peek() -> None:
                buffers = [bytearray(2), bytearray(), bytearray(b"...")]
                assert await wsarecv(sock, buffers, PEEK) == (4, 0)
                assert filled(buffers) == b"data."

            if pending:
                await wait_all_tasks_blocked()
            other.sendall(b"data")
        assert await wsarecv(sock, [bytearray(1)], PEEK | PUSH) == (1, 0)
        assert await sock.recv(10) == b"data"


async def test_peeking_at_a_datagram_leaves_all_of_it() -> None:
    with datagram_socket() as sock:
        sock.stdlib.sendto(b"datagram", sock.getsockname())
        buffers = [bytearray(2), bytearray(2)]
        for _ in range(2):
            assert await wsarecv(sock, buffers, PEEK) == (4, MsgFlag.MSG_TRUNC)
            assert filled(buffers) == b"data"
        assert await sock.recv(10) == b"datagram"


async def test_peeking_is_not_overlapped(simulation: Simulation) -> None:
    # The documentation has MSG_PEEK for receives without an OVERLAPPED only.
    sock = simulation.stream()
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, [bytearray(2), bytearray(9)], PEEK)
        await simulation.run()
        sock.peer.send(b"data")
        await simulation.run()
        assert call.value == (4, 0)
    assert not simulation.kernel.log
    simulation.check_quiet()


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
        assert (nbytes, filled(buffers)) == (1, b"!.")
        if not on_wine:  # it completes with a plain success
            assert flags == OOB
        assert counted.bytes == 1
        assert await sock.recv(10) == b"data"


@pytest.mark.windows
async def test_out_of_band_data_is_waited_for_and_loses_nothing_when_cancelled() -> None:
    with socket_pair() as (sock, other):
        if not on_wine:  # which may fail to cancel this while ordinary data is there
            other.sendall(b"data")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wsarecv, sock, [bytearray(5)], OOB)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await sock.recv(10)
                scope.cancel()
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                buffer = bytearray(5)
                nbytes, _ = await wsarecv(sock, [buffer], OOB)
                assert nbytes == 1
                assert buffer == b"!" + bytes(4)

            await wait_all_tasks_blocked()
            other.send(b"!", socket.MSG_OOB)
        if on_wine:
            other.sendall(b"data")
        assert await sock.recv(10) == b"data"


async def test_out_of_band_data_passes_what_was_kept(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.receiver.keep(b"kept")
    sock.peer.send_urgent(b"!")
    buffer = bytearray(5)
    assert await wsarecv(sock, [buffer], OOB) == (1, OOB)
    assert buffer == b"!" + bytes(4)
    assert await sock.recv(10) == b"kept"


async def test_pushing_at_once_changes_nothing_that_is_received() -> None:
    buffers = [bytearray(b"...") for _ in range(3)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await wsarecv(sock, buffers, PUSH) == (4, 0)

            await wait_all_tasks_blocked()
            other.sendall(b"data")
        assert filled(buffers) == b"data....."


# Flags: what comes out.


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
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, buffers, PARTIAL)
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.flags == PARTIAL
        sock.peer.end(status, b"data")
        await simulation.step()
        assert call.value == (4, OUT[status])
        assert isinstance(call.value.flags, MsgFlag)
    assert filled(buffers) == b"data....."
    simulation.check_quiet()


async def test_a_message_in_parts_is_complete_when_the_flag_is_gone(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    message = b""
    async with simulation.nursery() as nursery:
        flags = PARTIAL
        for status in (NtStatus.RECEIVE_PARTIAL, NtStatus.RECEIVE_PARTIAL, NtStatus.SUCCESS):
            assert flags & PARTIAL
            buffer = bytearray(4)
            call = Call(nursery, wsarecv, sock, [buffer])
            await simulation.run()
            sock.peer.end(status, b"part")
            await simulation.step()
            nbytes, flags = call.value
            message += buffer[:nbytes]
        assert not flags
    assert message == b"part" * 3


@pytest.mark.parametrize("status", [s for s in NtStatus if s >> 30 == 3])
async def test_an_error_comes_as_its_code(simulation: Simulation, status: NtStatus) -> None:
    sock = simulation.datagrams()
    buffers = [bytearray(3), bytearray(3)]
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, buffers)
        await simulation.run()
        sock.peer.end(status)
        await simulation.step()
        if status in (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED):
            assert not call.done  # nobody here asked for that
            sock.peer.send(b"data")
            await simulation.step()
            assert call.value == (4, 0)
        else:
            assert winerror(call.error) in set(WinsockError)
            simulation.check_quiet()
            buffers[0].append(0)


@pytest.mark.parametrize("answer", CancelAnswer)
async def test_a_cancelled_receive_gives_its_bytes_or_leaves_them(
    simulation: Simulation, answer: CancelAnswer
) -> None:
    simulation.behaviour.cancel = answer
    sock: SocketOverSimulation = simulation.stream()
    buffers = [bytearray(2), bytearray(9)]
    async with simulation.nursery() as nursery:
        call = Call(nursery, wsarecv, sock, buffers)
        await simulation.run()
        simulation.behaviour.prompt = False
        sock.peer.send(b"data")
        call.scope.cancel()
        await simulation.step()
        if call.cancelled:
            assert answer is CancelAnswer.ABORTED
            call = Call(nursery, wsarecv, sock, buffers)
            await simulation.step()
        assert call.value == (4, 0)
        assert filled(buffers) == b"data" + bytes(7)
    simulation.check_quiet()


# What the documentation says of timeouts and threads.


async def test_a_receive_timeout_of_the_socket_has_no_effect() -> None:
    millisecond: Any = 1 if on_windows else struct.pack("@ll", 0, 1000)
    with socket_pair() as (sock, other):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, millisecond)
        for flags in (0, PEEK, WAITALL):
            async with trio.open_nursery() as nursery:
                call = Call(nursery, wsarecv, sock, [bytearray(4)], flags)
                await trio.sleep(0.02)  # what is to be seen is that nothing happens
                assert not call.done
                other.sendall(b"data")
            assert call.value == (4, 0)
            assert flags != PEEK or await sock.recv(4) == b"data"


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
