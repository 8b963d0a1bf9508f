"""Bad arguments: the error is the one that a Trio socket gives, and nothing is lost."""

from __future__ import annotations

import array
import ctypes
import mmap
import socket
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import bound
from tests.peers import Counted, socket_pair, stdlib_pair, stream_pair
from tests.receiving import AfterFirstStep, as_text
from tests.simulation import Call

Receive = Callable[[trio.socket.SocketType], Awaitable[object]]

on_windows = sys.platform == "win32"


class Index:
    """An integer by courtesy of ``__index__``."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def cast(value: object) -> Any:
    """Hide from the type checker what is wrong."""
    return value


read_only_map = mmap.mmap(-1, 10, access=mmap.ACCESS_READ)

BAD: dict[str, Receive] = {
    "recv()": lambda sock: cast(sock).recv(),
    "recv(None)": lambda sock: sock.recv(cast(None)),
    "recv(str)": lambda sock: sock.recv(cast("10")),
    "recv(float)": lambda sock: sock.recv(cast(1.5)),
    "recv(bytearray)": lambda sock: sock.recv(cast(bytearray(10))),
    "recv(-1)": lambda sock: sock.recv(-1),
    "recv(-2**31)": lambda sock: sock.recv(-(2**31)),
    "recv(2**64)": lambda sock: sock.recv(2**64),
    "recv(-2**64)": lambda sock: sock.recv(-(2**64)),
    "recv(10, None)": lambda sock: sock.recv(10, cast(None)),
    "recv(10, str)": lambda sock: sock.recv(10, cast("0")),
    "recv(10, 2**31)": lambda sock: sock.recv(10, 2**31),
    "recv(10, -2**64)": lambda sock: sock.recv(10, -(2**64)),
    "recv(10, 0, 0)": lambda sock: cast(sock).recv(10, 0, 0),
    "recv_into()": lambda sock: cast(sock).recv_into(),
    "recv_into(None)": lambda sock: sock.recv_into(cast(None)),
    "recv_into(int)": lambda sock: sock.recv_into(cast(10)),
    "recv_into(str)": lambda sock: sock.recv_into(cast("buffer")),
    "recv_into(list)": lambda sock: sock.recv_into(cast([0] * 10)),
    "recv_into(bytes)": lambda sock: sock.recv_into(bytes(10)),
    "recv_into(read-only view)": lambda sock: sock.recv_into(memoryview(bytes(10))),
    "recv_into(read-only map)": lambda sock: sock.recv_into(read_only_map),
    "recv_into(empty bytes)": lambda sock: sock.recv_into(b""),
    "recv_into(strided)": lambda sock: sock.recv_into(memoryview(bytearray(20))[::2]),
    "recv_into(reversed)": lambda sock: sock.recv_into(memoryview(bytearray(20))[::-1]),
    "recv_into(negative)": lambda sock: sock.recv_into(bytearray(10), -1),
    "recv_into(too many)": lambda sock: sock.recv_into(bytearray(10), 11),
    "recv_into(2**62)": lambda sock: sock.recv_into(bytearray(10), 2**62),
    "recv_into(2**64)": lambda sock: sock.recv_into(bytearray(10), 2**64),
    "recv_into(nbytes=str)": lambda sock: sock.recv_into(bytearray(10), cast("5")),
    "recv_into(nbytes=None)": lambda sock: sock.recv_into(bytearray(10), cast(None)),
    "recv_into(flags=2**31)": lambda sock: sock.recv_into(bytearray(10), 5, 2**31),
    "recv_into(flags=str)": lambda sock: sock.recv_into(bytearray(10), 5, cast("0")),
    "recv_into(too many for numbers)": lambda sock: sock.recv_into(array.array("I", [0] * 2), 9),
}
GOOD: dict[str, Receive] = {
    "recv(bool)": lambda sock: sock.recv(True),
    "recv(index)": lambda sock: sock.recv(cast(Index(3))),
    "recv(flags index)": lambda sock: sock.recv(3, cast(Index(0))),
    "recv_into(index)": lambda sock: sock.recv_into(bytearray(10), cast(Index(3))),
    "recv_into(keywords)": lambda sock: sock.recv_into(buffer=bytearray(10), nbytes=3, flags=0),
    "recv_into(bytes of numbers)": lambda sock: sock.recv_into(array.array("I", [0] * 2), 7),
}


async def outcome_of(call: Receive, sock: trio.socket.SocketType) -> object:
    try:
        return await call(sock)
    except Exception as exc:
        return type(exc), as_text(exc)


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
async def test_bad_arguments_give_trios_own_error(call: Receive) -> None:
    with socket_pair() as (ours, other), stdlib_pair() as (one, stock_other):
        for each in (other, stock_other):
            each.sendall(b"data")
        with trio.socket.from_stdlib_socket(one) as stock:
            expected = await outcome_of(call, stock)
            given = await outcome_of(call, ours)
            assert isinstance(expected, tuple)
            assert isinstance(given, tuple)
            assert given[0] is expected[0]
            # Python counts the arguments of its own functions and of ours in different words.
            if "given" not in expected[1] and "missing" not in given[1]:
                assert given[1] == expected[1]
            assert await ours.recv(10) == await stock.recv(10) == b"data"


@pytest.mark.parametrize("call", GOOD.values(), ids=GOOD)
async def test_unusual_arguments_work_as_with_trio(call: Receive) -> None:
    with socket_pair() as (ours, other), stdlib_pair() as (one, stock_other):
        for each in (other, stock_other):
            each.sendall(b"longer data")
        with trio.socket.from_stdlib_socket(one) as stock:
            for sock in (ours, stock):
                await trio.lowlevel.wait_readable(sock)
            expected = await call(stock)
            assert await call(ours) == expected
            assert await ours.recv(20) == await stock.recv(20)


@pytest.mark.parametrize("nbytes", [2**31 - 1, 2**31, 2**32 + 5])
async def test_an_enormous_request_costs_nothing(nbytes: int) -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        assert await sock.recv(nbytes) == b"data"


BAD_FOR_STREAM: dict[str, tuple[type[Exception], Callable[[Any], Awaitable[object]]]] = {
    "receive_some(0)": (ValueError, lambda s: s.receive_some(0)),
    "receive_some(-1)": (ValueError, lambda s: s.receive_some(-1)),
    "receive_some(str)": (TypeError, lambda s: s.receive_some("1")),
    "receive_some(float)": (TypeError, lambda s: s.receive_some(1.0)),
    "receive_into(None)": (TypeError, lambda s: s.receive_into(None)),
    "receive_into(bytes)": (TypeError, lambda s: s.receive_into(bytes(10))),
    "receive_into(strided)": (BufferError, lambda s: s.receive_into(memoryview(bytearray(9))[::2])),
    "receive_into(-1)": (ValueError, lambda s: s.receive_into(bytearray(10), -1)),
    "receive_into(too many)": (ValueError, lambda s: s.receive_into(bytearray(10), 11)),
    "receive_exactly(-1)": (ValueError, lambda s: s.receive_exactly(-1)),
    "receive_exactly(str)": (TypeError, lambda s: s.receive_exactly("10")),
    "receive_exactly(None)": (TypeError, lambda s: s.receive_exactly(None)),
    "receive_exactly_into(None)": (TypeError, lambda s: s.receive_exactly_into(None)),
    "receive_exactly_into(bytes)": (TypeError, lambda s: s.receive_exactly_into(bytes(10))),
    "receive_exactly_into(strided)": (
        BufferError,
        lambda s: s.receive_exactly_into(memoryview(bytearray(20))[::2]),
    ),
}


@pytest.mark.parametrize(("error", "call"), BAD_FOR_STREAM.values(), ids=BAD_FOR_STREAM)
async def test_a_stream_refuses_bad_arguments_and_loses_nothing(
    error: type[Exception], call: Callable[[Any], Awaitable[object]]
) -> None:
    counted = Counted()
    with stream_pair() as (stream, other):
        other.sendall(b"data")
        with pytest.raises(error):
            await call(stream)
        assert counted.wsarecv_calls == 0
        assert await stream.receive_exactly(4) == b"data"


@pytest.mark.parametrize("nbytes", [2**31, 2**62, 2**64])
async def test_an_exact_receive_of_more_than_there_is_memory_reserves_as_bytes_come(
    nbytes: int,
) -> None:
    with stream_pair() as (stream, other):
        async with trio.open_nursery() as nursery:
            receive = Call(nursery, stream.receive_exactly, nbytes)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            await wait_all_tasks_blocked()
            receive.scope.cancel()
        assert receive.cancelled
        assert await stream.receive_some() == b"data"
        other.sendall(b"more")
        other.close()
        with pytest.raises(trio_wsarecv.IncompleteReceiveError) as caught:
            await stream.receive_exactly(nbytes)
        assert (caught.value.partial, caught.value.expected) == (b"more", nbytes)


async def test_a_stream_takes_numbers_of_any_kind() -> None:
    with stream_pair() as (stream, other):
        other.sendall(b"0123456789")
        assert await stream.receive_some(cast(Index(2))) == b"01"
        assert await stream.receive_exactly(cast(Index(2))) == b"23"
        assert await stream.receive_into(bytearray(9), cast(Index(2))) == 2
        assert await stream.receive_some(cast(True)) == b"6"
        assert await stream.receive_exactly_into(bytearray()) is None  # type: ignore[func-returns-value]
        assert await stream.receive_into(bytearray()) == 0
        assert await stream.receive_exactly(0) == b""
        assert await stream.receive_some() == b"789"


NOTHING: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(0),
    "recv_into": lambda sock: sock.recv_into(bytearray()),
    "recv, refused": lambda sock: sock.recv(-1),
    "receive_into": lambda sock: stream(sock).receive_into(bytearray()),
    "receive_exactly": lambda sock: stream(sock).receive_exactly(0),
    "receive_exactly_into": lambda sock: stream(sock).receive_exactly_into(bytearray()),
    "recvmsg": lambda sock: cast(sock).recvmsg(0),
    "recvmsg_into": lambda sock: cast(sock).recvmsg_into([]),
    "wsarecv, refused": lambda sock: trio_wsarecv.wsarecv(cast(sock), []),
}


def stream(sock: trio.socket.SocketType) -> trio_wsarecv.SocketStream:
    return trio_wsarecv.SocketStream(cast(sock))


@pytest.mark.parametrize("call", NOTHING.values(), ids=NOTHING)
async def test_no_deadline_ends_a_call_for_nothing_that_has_begun(call: Receive) -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        with trio.fail_after(5):
            assert await sock.recv(1) == b"d"
        with trio.CancelScope() as scope, suppress(ValueError, OSError):
            this_task = trio.lowlevel.current_task()
            trio.lowlevel.add_instrument(AfterFirstStep(scope.cancel, this_task))
            await call(sock)
        assert scope.cancel_called
        assert not scope.cancelled_caught


async def test_a_buffer_that_is_released_or_closed_is_refused() -> None:
    view = memoryview(bytearray(10))
    view.release()
    closed_map = mmap.mmap(-1, 10)
    closed_map.close()
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        for buffer in (view, closed_map):
            with pytest.raises(ValueError, match=r"released|closed"):
                await sock.recv_into(buffer)
        assert await sock.recv(10) == b"data"


async def test_nothing_around_a_small_request_is_touched() -> None:
    storage = ctypes.create_string_buffer(b"." * 64, 64)
    with socket_pair() as (sock, other):
        other.sendall(b"x" * 1000)
        assert await sock.recv_into(storage, 10) == 10
        assert storage.raw == b"x" * 10 + b"." * 54


CALLS: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(10),
    "recv(0)": lambda sock: sock.recv(0),
    "recv peek": lambda sock: sock.recv(10, socket.MSG_PEEK),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "recv_into(empty)": lambda sock: sock.recv_into(bytearray()),
}
any_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@any_call
async def test_a_closed_socket_gives_trios_own_error(call: Receive) -> None:
    with socket_pair() as (ours, _), stdlib_pair() as (one, _):
        stock = trio.socket.from_stdlib_socket(one)
        for sock in (ours, stock):
            sock.close()
        expected = await outcome_of(call, stock)
        assert await outcome_of(call, ours) == expected
        if isinstance(expected, tuple):
            assert "WinError 10038" in expected[1] if on_windows else "Errno 9" in expected[1]


@any_call
async def test_a_socket_without_a_connection_gives_trios_own_error(call: Receive) -> None:
    with (
        trio_wsarecv.from_stdlib_socket(socket.socket()) as ours,
        trio.socket.from_stdlib_socket(socket.socket()) as stock,
    ):
        assert await outcome_of(call, ours) == await outcome_of(call, stock)


HUGE: dict[str, Receive] = {
    "recv(size)": lambda sock: sock.recv(2**31),
    "recv(index)": lambda sock: sock.recv(cast(Index(2**31))),
    "recv(size, MSG_PEEK)": lambda sock: sock.recv(2**31, socket.MSG_PEEK),
    "recvfrom(size)": lambda sock: sock.recvfrom(2**31),
    "recvfrom(index, MSG_PEEK)": lambda sock: sock.recvfrom(cast(Index(2**31)), socket.MSG_PEEK),
    "recvmsg(size)": lambda sock: cast(sock).recvmsg(2**31),
    "recvmsg(size, size)": lambda sock: cast(sock).recvmsg(10, 2**30),
    "recvmsg_into(buffers, size)": lambda sock: cast(sock).recvmsg_into([bytearray(9)], 2**30),
}


@pytest.mark.parametrize("call", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_memory_is_not_reserved_for_a_size_that_nothing_has(call: Receive, kind: int) -> None:
    datagrams = trio_wsarecv.from_stdlib_socket(bound())
    with socket_pair() as (stream, other), bound() as sender, datagrams:
        sock = stream if kind == socket.SOCK_STREAM else datagrams
        other.sendall(b"data")
        sender.sendto(b"data", datagrams.getsockname())
        await trio.lowlevel.wait_readable(sock)
        tracemalloc.start()
        try:
            await outcome_of(call, sock)
            assert tracemalloc.get_traced_memory()[1] < 1 << 26
        finally:
            tracemalloc.stop()


@pytest.mark.real_windows
@any_call
async def test_a_listening_socket_gives_trios_own_error(call: Receive) -> None:
    with (
        trio_wsarecv.from_stdlib_socket(socket.create_server(("127.0.0.1", 0))) as ours,
        trio.socket.from_stdlib_socket(socket.create_server(("127.0.0.1", 0))) as stock,
    ):
        assert await outcome_of(call, ours) == await outcome_of(call, stock)


async def test_a_failed_receive_leaves_the_socket_usable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = trio_wsarecv.from_stdlib_socket(socket.socket())
        with sock:
            for _ in range(3):
                with pytest.raises(OSError, match=r"."):
                    await sock.recv(10)
            await sock.connect(listener.getsockname())
            other, _ = listener.accept()
            with other:
                other.sendall(b"data")
                assert await sock.recv(10) == b"data"
