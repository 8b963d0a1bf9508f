"""Unusual and bad arguments: results and errors are those of a Trio socket, and no data is lost."""

from __future__ import annotations

import array
import mmap
import socket
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import outcome
import pytest
import trio
from trio.testing import assert_checkpoints

import trio_wsarecv
from tests.datagrams import connected_datagrams
from tests.peers import Counted, socket_pair, stdlib_pair
from tests.receiving import AfterFirstStep, as_text, call, on_windows, winerror
from trio_wsarecv import MsgFlag, WinsockError

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL


class Index:
    """Not an int, but converted to one by ``__index__``."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Broken:
    """An object whose every conversion fails."""

    def _fail(self, *_: object) -> Any:
        raise ZeroDivisionError

    __index__ = __buffer__ = __iter__ = __len__ = _fail


READ_ONLY = memoryview(bytes(10))
STRIDED = memoryview(bytearray(20))[::2]
RELEASED, CLOSED = memoryview(bytearray(10)), mmap.mmap(-1, 10)
RELEASED.release()
CLOSED.close()


@contextmanager
def sockets_for(name: str) -> Iterator[list[tuple[trio_wsarecv.Socket, socket.socket]]]:
    """Give a stream and a socket for datagrams, or the one that has the call, and their peers."""
    with socket_pair() as stream, connected_datagrams() as datagrams:
        if name.endswith("of a stream") or name.startswith("receive_"):
            yield [stream]
        elif name.endswith(("of datagrams", "_many")):
            yield [datagrams]
        else:
            yield [stream, datagrams]


async def outcome_of(sock: trio.socket.SocketType, name: str, *arguments: Any) -> Any:
    try:
        return await call(sock, name, *arguments)
    except Exception as exc:
        return type(exc), as_text(exc)


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
        *((buffer,) for buffer in (STRIDED, STRIDED[::-1], RELEASED, CLOSED, Broken())),
        (mmap.mmap(-1, 10, access=mmap.ACCESS_READ),),
        *((bytearray(10), size) for size in (-1, 11, 2**62, 2**64, "5", None, Index(3))),
        *((bytearray(10), 5, flags) for flags in (2**31, "0")),
        (array.array("I", [0] * 2), 9),
        (array.array("I", [0] * 2), 7),
    ],
    "recvfrom": [(-1,), ("10",), (2**64,), (10, "0")],
    "recvfrom_into": [(bytes(10),), (bytearray(10), -1), (bytearray(10), 11), (bytearray(),)],
}


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, each) for name in LIKE_TRIO for each in LIKE_TRIO[name]]
)
async def test_arguments_are_treated_as_by_trio(name: str, arguments: tuple[Any, ...]) -> None:
    with sockets_for(name) as pairs:
        for ours, other in pairs:
            seen = []
            for sock in (trio.socket.from_stdlib_socket(ours.stdlib), ours):
                other.send(b"longer data")
                await trio.lowlevel.wait_readable(ours)
                result = await outcome_of(sock, name, *arguments)
                # Python words a wrong number of arguments differently for its own functions.
                seen.append(result[0] if arguments in [(), (10, 0, 0)] else result)
                other.send(b"end")
                left = b""
                while not left.endswith(b"end"):
                    left += await ours.recv(20)
                seen.append(left)
            assert seen[2:] == seen[:2]


#: By the call and the exception or Winsock error, arguments that are refused.
REFUSED: dict[tuple[str, Any], list[tuple[Any, ...]]] = {
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
    ("wsarecv", WinsockError.WSAEINVAL): [([],)],
    ("wsarecv of datagrams", WinsockError.WSAEINVAL): [([bytearray(), bytearray()],)],
    ("wsarecv", WinsockError.WSAEOPNOTSUPP): [
        *(([bytearray(9)], flags) for flags in (WAITALL | PEEK, 0x10000, 2**64, -1)),
    ],
    ("wsarecv of datagrams", WinsockError.WSAEOPNOTSUPP): [
        *(([bytearray(9)], flags) for flags in (WAITALL, OOB)),
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


if on_windows:  # elsewhere `recvmsg` is Python's own
    for name, first in (("recvmsg", 10), ("recvmsg_into", [bytearray(10)])):
        arguments = [(first, 0, flags) for flags in (OOB, WAITALL, -1)]
        REFUSED[f"{name} of datagrams", WinsockError.WSAEOPNOTSUPP] = arguments


@pytest.mark.parametrize(("name", "error"), REFUSED)
async def test_bad_arguments_are_refused_and_lose_nothing(name: str, error: Any) -> None:
    method, _, _ = name.partition(" ")
    of_winsock = isinstance(error, WinsockError)
    with sockets_for(name) as pairs:
        for sock, other in pairs:
            other.send(b"data")
            counted = Counted()
            for arguments in REFUSED[name, error]:
                if on_posix := getattr(sock.stdlib, method, None):
                    with pytest.raises(error):
                        on_posix(*arguments)
                with assert_checkpoints() if of_winsock else nullcontext():
                    refused = await outcome.acapture(call, sock, method, *arguments)
                assert isinstance(refused, outcome.Error)
                if of_winsock:
                    assert winerror(refused.error) == error
                else:
                    assert type(refused.error) is error
                for buffer in arguments[0] if arguments and type(arguments[0]) is list else []:
                    if isinstance(buffer, bytearray):  # it can be resized again
                        buffer.append(0)
                        buffer.pop()
            assert counted.wsarecv_calls == counted.immediate == counted.pended == 0
            assert await sock.recv(10) == b"data"


async def test_only_a_socket_of_this_package_is_accepted() -> None:
    with stdlib_pair() as (one, _):
        for sock in (one, trio.socket.from_stdlib_socket(one), one.fileno(), None):
            with pytest.raises(TypeError, match="from_stdlib_socket"):
                await trio_wsarecv.wsarecv(sock, [bytearray(1)])  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    "state", ["unconnected", "closed", pytest.param("listening", marks=pytest.mark.real_windows)]
)
async def test_a_socket_without_a_connection_gives_trios_own_error(state: str) -> None:
    one, two = socket.socket(), socket.socket()
    with (
        trio_wsarecv.from_stdlib_socket(one) as ours,
        trio.socket.from_stdlib_socket(two) as stock,
    ):
        for sock in (ours, stock):
            if state == "listening":
                sock.listen()
            elif state == "closed":
                sock.close()
        calls: list[tuple[Any, ...]] = [
            *(("recv", 10), ("recv", 0), ("recv", 10, PEEK), ("recvfrom", 10)),
            *(("recv_into", bytearray(10)), ("recv_into", bytearray())),
        ]
        for name, *arguments in calls:
            expected = await outcome_of(stock, name, *arguments)
            assert await outcome_of(ours, name, *arguments) == expected
            if state == "closed" and isinstance(expected, tuple):
                assert "WinError 10038" in expected[1] if on_windows else "Errno 9" in expected[1]


#: More than there is memory for.  Elsewhere Python allocates all of ``sys.maxsize``.
HUGE: list[tuple[Any, ...]] = [
    *(("recv", 2**31), ("recv", Index(2**32 + 5)), ("recv", 2**31, PEEK)),
    *(("recvfrom", Index(2**31), PEEK), ("recvmsg", 2**31), ("recvmsg", 10, 2**30)),
    *(("recvmsg_into", [bytearray(9)], 2**30), ("receive_some", 2**62)),
    *((name, 1 << 60, 1 << 60) for name in ("recvfrom_many", "recvmsg_many")),
    *((name, sys.maxsize) for name in ("recv", "recvfrom", "recvmsg") if on_windows),
]


@pytest.mark.parametrize("huge", HUGE)
async def test_a_huge_request_receives_the_data_and_reserves_little_memory(
    huge: tuple[Any, ...],
) -> None:
    name, *arguments = huge
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
