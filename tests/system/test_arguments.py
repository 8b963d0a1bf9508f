"""Unusual and bad arguments: results and errors are those of a Trio socket, and no data is lost."""

from __future__ import annotations

import array
import mmap
import socket
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import connected_datagrams
from tests.peers import Counted, cancel_when_waiting, socket_pair, stdlib_pair, stream_pair
from tests.receiving import AfterFirstStep, Index, as_text, call, on_windows
from tests.simulation import Call
from trio_wsarecv import MsgFlag


class Broken:
    """An object whose every conversion fails."""

    def _fail(self, *_: object) -> Any:
        raise ZeroDivisionError

    __index__ = __buffer__ = __iter__ = __len__ = _fail


READ_ONLY = memoryview(bytes(10))
STRIDED = memoryview(bytearray(20))[::2]

LIKE_TRIO: dict[str, list[tuple[Any, ...]]] = {
    "recv": [
        (),
        *((size,) for size in (None, "10", 1.5, bytearray(10), True, Index(3), Broken())),
        *((size,) for size in (-1, -(2**31), 2**64, -(2**64))),
        *((10, flags) for flags in (None, "0", 2**31, -(2**64), Index(0))),
        (10, 0, 0),
    ],
    "recv_into": [
        (),
        *((buffer,) for buffer in (None, 10, "buffer", [0] * 10, b"", bytes(10), READ_ONLY)),
        *((buffer,) for buffer in (STRIDED, STRIDED[::-1], Broken())),
        (mmap.mmap(-1, 10, access=mmap.ACCESS_READ),),
        *((bytearray(10), size) for size in (-1, 11, 2**62, 2**64, "5", None, Index(3))),
        *((bytearray(10), 5, flags) for flags in (2**31, "0")),
        (array.array("I", [0] * 2), 9),
        (array.array("I", [0] * 2), 7),
    ],
    "recvfrom": [(-1,), ("10",), (2**64,), (10, "0")],
    "recvfrom_into": [(bytes(10),), (bytearray(10), -1), (bytearray(10), 11)],
}


async def outcome_of(sock: trio.socket.SocketType, name: str, *arguments: Any) -> Any:
    try:
        return await call(sock, name, *arguments)
    except Exception as exc:
        return type(exc), as_text(exc)


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, each) for name in LIKE_TRIO for each in LIKE_TRIO[name]]
)
async def test_arguments_are_treated_as_by_trio(name: str, arguments: tuple[Any, ...]) -> None:
    with socket_pair() as (ours, other), stdlib_pair() as (one, stock_other):
        stock = trio.socket.from_stdlib_socket(one)
        for each in (other, stock_other):
            each.sendall(b"longer data")
        for sock in (ours, stock):
            await trio.lowlevel.wait_readable(sock)
        expected = await outcome_of(stock, name, *arguments)
        given = await outcome_of(ours, name, *arguments)
        # Python words a wrong number of arguments differently for its own functions.
        if arguments not in [(), (10, 0, 0)]:
            assert given == expected
        assert given[0] is expected[0] if isinstance(expected, tuple) else given == expected
        assert await ours.recv(20) == await stock.recv(20)


@contextmanager
def sockets_for(name: str) -> Iterator[list[tuple[trio_wsarecv.Socket, socket.socket]]]:
    """Give a stream and a socket for datagrams, or the one that has the call, and their peers."""
    with socket_pair() as stream, connected_datagrams() as datagrams:
        if name.endswith("_many"):
            yield [datagrams]
        elif name.startswith("receive_") or name == "a stream":
            yield [stream]
        else:
            yield [stream, datagrams]


REFUSED: dict[tuple[str, type[Exception]], list[tuple[Any, ...]]] = {
    ("receive_some", ValueError): [(0,), (-1,)],
    ("receive_some", TypeError): [("1",), (1.0,)],
    ("receive_into", TypeError): [(None,), (bytes(10),)],
    ("receive_into", ValueError): [(bytearray(10), -1), (bytearray(10), 11)],
    ("receive_into", BufferError): [(STRIDED,)],
    ("receive_exactly", ValueError): [(-1,)],
    ("receive_exactly", TypeError): [("10",), (None,)],
    ("receive_exactly_into", TypeError): [(None,), (bytes(10),)],
    ("receive_exactly_into", BufferError): [(STRIDED,)],
    ("recvmsg", TypeError): [
        (),
        *((size,) for size in (None, "10", 10.0, bytearray(10))),
        *((10, None), (10, 0, None), (10, 0, 0, 0)),
    ],
    ("recvmsg", ZeroDivisionError): [(Broken(),), (10, Broken()), (10, 0, Broken())],
    ("recvmsg_into", ZeroDivisionError): [(Broken(),)],
    ("wsarecv", ZeroDivisionError): [(Broken(),), ([bytearray(5)], Broken())],
    ("recvmsg", ValueError): [(-1,), (10, -1), (10, 2**31)],
    ("recvmsg", OverflowError): [
        *((2**64,), (-(2**64),), (10, 2**64)),
        *((10, 0, flags) for flags in (2**31, 2**64, -(2**64))),
    ],
    ("recvmsg_into", TypeError): [
        (),
        *((buffers,) for buffers in (None, 10, bytearray(10))),
        *(([bytearray(5), bad],) for bad in (None, "0123456789", bytes(10), READ_ONLY, STRIDED)),
        *(([bytearray(10)], "1"), ([bytearray(10)], 0, "0")),
    ],
    ("recvmsg_into", ValueError): [([bytearray(10)], -1)],
    ("recvmsg_into", OverflowError): [([bytearray(10)], 0, 2**31)],
    ("wsarecv", TypeError): [
        *((buffers,) for buffers in (None, 5, bytearray(5))),
        *(([bytearray(5), bad],) for bad in (None, "text", bytes(10), READ_ONLY)),
        *(([bytearray(5)], flags) for flags in ("0", None, 1.0)),
    ],
    ("wsarecv", BufferError): [
        ([bytearray(5), STRIDED],),
        ([STRIDED[::-1]], MsgFlag.MSG_WAITALL),
    ],
    **{
        (name, error): arguments
        for name in ("recvfrom_many", "recvmsg_many")
        for error, arguments in (
            (ValueError, [(0, 10), (-1, 10), (1, -1)]),
            (TypeError, [("1", 10), (1, None)]),
            (OverflowError, [(1, 1 << 70)]),
        )
    },
    ("recvmsg_many of a stream", ValueError): [(1, 10)],
    ("recvfrom_many of a stream", ValueError): [(1, 10)],
}


@pytest.mark.parametrize(("name", "error"), REFUSED)
async def test_bad_arguments_are_refused_and_lose_nothing(
    name: str, error: type[Exception]
) -> None:
    method, _, of_stream = name.partition(" ")
    with sockets_for("a stream" if of_stream else method) as pairs:
        for sock, other in pairs:
            other.send(b"data")
            counted = Counted()
            for arguments in REFUSED[name, error]:
                if on_posix := getattr(sock.stdlib, method, None):
                    with pytest.raises(error):
                        on_posix(*arguments)
                with pytest.raises(error) as caught:
                    await call(sock, method, *arguments)
                assert type(caught.value) is error
                if arguments and isinstance(buffers := arguments[0], list):
                    first = buffers[0]
                    if isinstance(first, bytearray):  # it can be resized again
                        first.append(0)
                        first.pop()
            assert counted.wsarecv_calls == 0
            assert await sock.recv(10) == b"data"


async def test_only_a_socket_of_this_package_is_accepted() -> None:
    with stdlib_pair() as (one, _):
        for sock in (one, trio.socket.from_stdlib_socket(one), one.fileno(), None):
            with pytest.raises(TypeError, match="from_stdlib_socket"):
                await trio_wsarecv.wsarecv(sock, [bytearray(1)])  # type: ignore[arg-type]


@pytest.mark.parametrize("nbytes", [2**31, 2**62, 2**64])
async def test_an_exact_receive_reserves_memory_only_as_bytes_arrive(nbytes: int) -> None:
    with stream_pair() as (stream, other):
        await cancel_when_waiting(
            lambda: stream.receive_exactly(nbytes), lambda: other.sendall(b"data")
        )
        assert await stream.receive_some() == b"data"
        other.sendall(b"more")
        other.close()
        with pytest.raises(trio_wsarecv.IncompleteReceiveError) as caught:
            await stream.receive_exactly(nbytes)
        assert (caught.value.partial, caught.value.expected) == (b"more", nbytes)


NOTHING: list[tuple[str, Any]] = [
    ("recv", 0),
    ("recv", -1),
    ("recv_into", bytearray()),
    ("recv_into", memoryview(bytearray(5))[3:3]),
    ("receive_into", bytearray()),
    ("receive_exactly", 0),
    ("receive_exactly_into", bytearray()),
    ("recvmsg", 0),
    ("recvmsg_into", []),
    ("wsarecv", []),
]


@pytest.mark.parametrize(("name", "argument"), NOTHING)
async def test_a_receive_of_nothing_neither_waits_nor_is_cancelled_once_it_has_begun(
    name: str, argument: Any
) -> None:
    with socket_pair() as (sock, other):
        if on_windows or not name.startswith("recvmsg"):  # which waits on Linux
            with assert_checkpoints(), suppress(ValueError, OSError):
                await call(sock, name, argument)
        other.sendall(b"data")
        await trio.lowlevel.wait_readable(sock)
        assert await sock.recv(1) == b"d"
        with trio.CancelScope() as scope, suppress(ValueError, OSError):
            this_task = trio.lowlevel.current_task()
            trio.lowlevel.add_instrument(AfterFirstStep(scope.cancel, this_task))
            await call(sock, name, argument)
        assert scope.cancel_called
        assert not scope.cancelled_caught
        assert await sock.recv(10) == b"ata"


async def test_a_buffer_that_is_released_or_closed_is_refused() -> None:
    view = memoryview(bytearray(10))
    view.release()
    closed_map = mmap.mmap(-1, 10)
    closed_map.close()
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        for buffer in (view, closed_map):
            with pytest.raises((TypeError, ValueError)) as expected:
                sock.stdlib.recv_into(buffer)
            with assert_checkpoints(), pytest.raises(expected.type):
                await sock.recv_into(buffer)
            with trio.CancelScope() as scope:
                scope.cancel()
                await sock.recv_into(buffer)
            assert scope.cancelled_caught
        assert await sock.recv(10) == b"data"


@pytest.mark.parametrize(
    "state", ["unconnected", "closed", pytest.param("listening", marks=pytest.mark.real_windows)]
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("recv", (10,)),
        ("recv", (0,)),
        ("recv", (10, socket.MSG_PEEK)),
        ("recvfrom", (10,)),
        ("recv_into", (bytearray(10),)),
        ("recv_into", (bytearray(),)),
    ],
)
async def test_a_socket_without_a_connection_gives_trios_own_error(
    state: str, name: str, arguments: tuple[Any, ...]
) -> None:
    one, two = socket.socket(), socket.socket()
    with (
        trio_wsarecv.from_stdlib_socket(one) as ours,
        trio.socket.from_stdlib_socket(two) as stock,
    ):
        if state == "listening":
            one.listen()
            two.listen()
        if state == "closed":
            ours.close()
            stock.close()
        expected = await outcome_of(stock, name, *arguments)
        assert await outcome_of(ours, name, *arguments) == expected
        if state == "closed" and isinstance(expected, tuple):
            assert "WinError 10038" in expected[1] if on_windows else "Errno 9" in expected[1]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("recv", (2**31,)),
        ("recv", (Index(2**32 + 5),)),
        ("recv", (2**31, socket.MSG_PEEK)),
        ("recvfrom", (Index(2**31), socket.MSG_PEEK)),
        ("recvmsg", (2**31,)),
        ("recvmsg", (10, 2**30)),
        ("recvmsg_into", ([bytearray(9)], 2**30)),
        ("receive_some", (2**62,)),
        ("recvfrom_many", (1 << 60, 1 << 60)),
        ("recvmsg_many", (1 << 60, 1 << 60)),
        *(  # elsewhere Python allocates all of it
            pytest.param(name, (sys.maxsize,), marks=pytest.mark.windows)
            for name in ("recv", "recvfrom", "recvmsg")
        ),
    ],
)
async def test_a_huge_request_receives_the_data_and_reserves_little_memory(
    name: str, arguments: tuple[Any, ...]
) -> None:
    with sockets_for(name) as pairs:
        for sock, other in pairs:
            other.send(b"data")
            await trio.lowlevel.wait_readable(sock)
            tracemalloc.start()
            try:
                result = await call(sock, name, *arguments)
                assert tracemalloc.get_traced_memory()[1] < 1 << 26
            finally:
                tracemalloc.stop()
            while isinstance(result, (list, tuple)):
                result = result[0]
            assert result in (b"data", 4)


@pytest.mark.parametrize("flags", [-1, -(2**31)])
async def test_negative_flags_without_data_are_treated_as_by_trio(flags: int) -> None:
    with socket_pair() as (ours, _), stdlib_pair() as (one, _):
        async with trio.open_nursery() as nursery:
            calls = [
                Call(nursery, outcome_of, sock, "recv", 10, flags)
                for sock in (ours, trio.socket.from_stdlib_socket(one))
            ]
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        one_result, other_result = (each.value if each.succeeded else "waits" for each in calls)
        assert one_result == other_result
