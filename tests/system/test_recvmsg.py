"""`Socket.recvmsg` and `Socket.recvmsg_into`: signature, results and errors are POSIX Python's."""

from __future__ import annotations

import inspect
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, pattern, socket_pair
from tests.receiving import leave_to_the_next, on_windows, winerror
from tests.simulation import Call
from tools.children import child
from tools.windows import WINE
from trio_wsarecv import MsgFlag, WinsockError

Receive = Callable[..., Awaitable[tuple[bytes, Any, int, Any]]]

on_linux = sys.platform == "linux"

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "answer_from.py"

MSG_TRUNC, MSG_CTRUNC = (0x100, 0x200) if on_windows else (socket.MSG_TRUNC, socket.MSG_CTRUNC)


@pytest.fixture
async def sock() -> AsyncIterator[trio_wsarecv.Socket]:
    one = socket.socket(type=socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    with trio_wsarecv.from_stdlib_socket(one) as sock:
        yield sock


def send_to(sock: trio_wsarecv.Socket, data: bytes) -> None:
    sock.stdlib.sendto(data, sock.getsockname())


async def recvmsg(
    sock: trio_wsarecv.Socket, size: int, control_size: int = 0, flags: int = 0
) -> tuple[bytes, Any, int, Any]:
    return await sock.recvmsg(size, control_size, flags)


async def recvmsg_into(
    sock: trio_wsarecv.Socket, size: int, control_size: int = 0, flags: int = 0
) -> tuple[bytes, Any, int, Any]:
    buffers = [bytearray(b"." * part) for part in (size // 2, 0, size - size // 2)]
    nbytes, *rest = await sock.recvmsg_into(buffers, control_size, flags)
    data = b"".join(buffers)
    assert not data[nbytes:].strip(b".")
    return data[:nbytes], rest[0], rest[1], rest[2]


both = pytest.mark.parametrize("receive", [recvmsg, recvmsg_into])
when = pytest.mark.parametrize("pending", [False, True])


# Results.


@both
def test_the_signature_is_that_of_the_standard_library(receive: Receive) -> None:
    method = getattr(trio_wsarecv.Socket, receive.__name__)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    assert [(each.kind, each.default) for each in parameters] == [
        (inspect.Parameter.POSITIONAL_ONLY, default) for default in (inspect.Parameter.empty, 0, 0)
    ]


@when
@both
async def test_a_datagram_in_the_real_world(
    sock: trio_wsarecv.Socket, receive: Receive, pending: bool
) -> None:
    for sent, size, data, flags in (
        (b"data", 10, b"data", 0),
        (b"", 10, b"", 0),
        (b"0123456789", 10, b"0123456789", 0),
        (b"0123456789", 4, b"0123", MSG_TRUNC),
        (b"data", 10, b"data", 0),
        (pattern(60000), 65536, pattern(60000), 0),
    ):
        async with trio.open_nursery() as nursery:
            if not pending:
                send_to(sock, sent)
            call = Call(nursery, receive, sock, size, 100)
            if pending:
                await wait_all_tasks_blocked()
                assert not call.done
                send_to(sock, sent)
        assert call.value == (data, [], flags, sock.getsockname())


# What the standard library has a name for on some systems only, as (level, option, type).
class Option(NamedTuple):
    family: socket.AddressFamily
    level: int
    option: int
    kind: int
    data: struct.Struct


IPV4, IPV6 = (socket.AF_INET, 0), (socket.AF_INET6, 41)

if sys.platform == "win32":
    OPTIONS = {
        "IP_PKTINFO": Option(*IPV4, 19, 19, struct.Struct("4sI")),
        "IP_RECVTTL": Option(*IPV4, 21, 4, struct.Struct("i")),
        "IP_RECVTOS": Option(*IPV4, 40, 3, struct.Struct("i")),
        "IPV6_PKTINFO": Option(*IPV6, 19, 19, struct.Struct("16sI")),
        "IPV6_HOPLIMIT": Option(*IPV6, 21, 21, struct.Struct("i")),
        "IPV6_RECVTCLASS": Option(*IPV6, 40, 39, struct.Struct("i")),
    }
else:
    OPTIONS = {
        "IP_PKTINFO": Option(*IPV4, 8, 8, struct.Struct("I4s4s")),
        "IP_RECVTTL": Option(*IPV4, 12, 2, struct.Struct("i")),
        "IP_RECVTOS": Option(*IPV4, 13, 1, struct.Struct("b")),
        "IPV6_PKTINFO": Option(*IPV6, 49, 50, struct.Struct("16sI")),
        "IPV6_HOPLIMIT": Option(*IPV6, 51, 52, struct.Struct("i")),
        "IPV6_RECVTCLASS": Option(*IPV6, 66, 67, struct.Struct("i")),
    }


@pytest.mark.skipif(not on_windows and not on_linux, reason="other numbers")
@pytest.mark.parametrize("name", OPTIONS)
@both
async def test_the_system_tells_what_it_was_asked_to(receive: Receive, name: str) -> None:
    option = OPTIONS[name]
    host = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}[option.family]
    with (
        socket.socket(option.family, socket.SOCK_DGRAM) as one,
        socket.socket(option.family, socket.SOCK_DGRAM) as sender,
    ):
        try:
            for each in (one, sender):
                each.bind((host, 0))
            one.setsockopt(option.level, option.option, 1)
        except OSError as exc:
            pytest.skip(f"not on this system: {exc}")
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33) if host == "127.0.0.1" else None
        sock = trio_wsarecv.from_stdlib_socket(one)
        counted = Counted()
        sender.sendto(b"data", one.getsockname())
        data, ancdata, flags, address = await receive(sock, 10, 100)
        assert (data, flags, address) == (b"data", 0, sender.getsockname())
        ((level, kind, content),) = ancdata
        assert (level, kind) == (option.level, option.kind)
        values = option.data.unpack(content)
        if "PKTINFO" in name:
            assert socket.inet_pton(option.family, host) in values
        elif name == "IP_RECVTTL":
            assert values == (33,)
        if on_windows:
            assert counted.wsarecv_calls == 1

        sender.sendto(b"data", one.getsockname())
        data, ancdata, flags, address = await receive(sock, 10, 8)
        assert (data, ancdata, flags, address) == (b"data", [], MSG_CTRUNC, sender.getsockname())

        sender.sendto(b"longer data", one.getsockname())
        data, ancdata, flags, _ = await receive(sock, 6, 100)
        assert (data, len(ancdata), flags) == (b"longer", 1, MSG_TRUNC)

        sender.sendto(b"longer data", one.getsockname())
        data, ancdata, flags, _ = await receive(sock, 6, 8)
        assert (data, ancdata, flags) == (b"longer", [], MSG_CTRUNC | MSG_TRUNC)


@both
async def test_without_room_a_datagram_is_truncated_to_nothing(
    sock: trio_wsarecv.Socket, receive: Receive
) -> None:
    async with trio.open_nursery() as nursery:
        call = Call(nursery, receive, sock, 0)
        await wait_all_tasks_blocked()
        assert not call.done
        send_to(sock, b"data")
    assert call.value == (b"", [], MSG_TRUNC, sock.getsockname())
    send_to(sock, b"")
    assert await receive(sock, 0) == (b"", [], 0, sock.getsockname())
    send_to(sock, b"next")
    assert (await receive(sock, 10))[0] == b"next"


async def test_no_buffers_are_no_room(sock: trio_wsarecv.Socket) -> None:
    for data in (b"data", b""):
        send_to(sock, data)
        nbytes, ancdata, flags, address = await sock.recvmsg_into([])
        assert (nbytes, ancdata, address) == (0, [], sock.getsockname())
        assert flags == (MSG_TRUNC if data else 0)
    send_to(sock, b"next")
    assert (await recvmsg(sock, 10))[0] == b"next"


@both
async def test_cancelling_leaves_the_datagram_and_gives_the_buffers_back(
    sock: trio_wsarecv.Socket, receive: Receive
) -> None:
    buffers = [bytearray(3), bytearray(3)]
    with trio.move_on_after(0):
        await receive(sock, 10, 100)
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            if receive is recvmsg:
                call = Call(nursery, sock.recvmsg, 10, 100)
            else:
                call = Call(nursery, sock.recvmsg_into, buffers, 100)
            await wait_all_tasks_blocked()
            call.scope.cancel()
        assert call.cancelled
        for buffer in buffers:
            buffer.append(0)
            buffer.pop()
    send_to(sock, b"data")
    assert (await receive(sock, 10, 100))[0] == b"data"


# Streams.


@when
@both
async def test_a_stream_has_neither_ancillary_data_nor_an_address(
    receive: Receive, pending: bool
) -> None:
    with socket_pair() as (sock, other):
        for data in (b"data", b"more"):
            async with trio.open_nursery() as nursery:
                if not pending:
                    other.sendall(data)
                call = Call(nursery, receive, sock, 10, 100)
                if pending:
                    await wait_all_tasks_blocked()
                    assert not call.done
                    other.sendall(data)
            assert call.value == (data, [], 0, None)
        other.sendall(b"rest")
        other.close()
        assert await receive(sock, 2, 100) == (b"re", [], 0, None)
        assert await receive(sock, 10, 100) == (b"st", [], 0, None)
        assert await receive(sock, 10, 100) == (b"", [], 0, None)


@pytest.mark.windows  # Linux waits until there is something
@both
async def test_a_receive_of_nothing_from_a_stream_does_not_wait(receive: Receive) -> None:
    with socket_pair() as (sock, other):
        with assert_checkpoints():
            assert (await receive(sock, 0))[0] == b""
        assert (await sock.recvmsg_into([]))[0] == 0
        other.sendall(b"data")
        assert (await receive(sock, 10))[0] == b"data"


@both
async def test_waiting_for_all_behind_bytes_that_were_pushed_back(receive: Receive) -> None:
    # Elsewhere the flag is the system's, for which a socket that does not block gives what it has.
    first, second = (b"012345", b"67") if on_windows else (b"0123", b"4567")
    with socket_pair() as (sock, other):
        await leave_to_the_next(sock, other, b"0123")
        other.sendall(b"4567")
        assert await receive(sock, 6, 0, socket.MSG_WAITALL) == (first, [], 0, None)
        assert await receive(sock, 6) == (second, [], 0, None)


# Arguments.


BAD: dict[str, tuple[str, tuple[Any, ...], Any]] = {
    "no size": ("recvmsg", (), TypeError),
    "size None": ("recvmsg", (None,), TypeError),
    "size str": ("recvmsg", ("10",), TypeError),
    "size float": ("recvmsg", (10.0,), TypeError),
    "size bytearray": ("recvmsg", (bytearray(10),), TypeError),
    "size -1": ("recvmsg", (-1,), ValueError),
    "size 2**64": ("recvmsg", (2**64,), OverflowError),
    "size -2**64": ("recvmsg", (-(2**64),), OverflowError),
    "control None": ("recvmsg", (10, None), TypeError),
    "control -1": ("recvmsg", (10, -1), ValueError),
    "control 2**31": ("recvmsg", (10, 2**31), ValueError),
    "control 2**64": ("recvmsg", (10, 2**64), OverflowError),
    "flags None": ("recvmsg", (10, 0, None), TypeError),
    "flags 2**31": ("recvmsg", (10, 0, 2**31), OverflowError),
    "flags 2**64": ("recvmsg", (10, 0, 2**64), OverflowError),
    "flags -2**64": ("recvmsg", (10, 0, -(2**64)), OverflowError),
    "four": ("recvmsg", (10, 0, 0, 0), TypeError),
    "no buffers": ("recvmsg_into", (), TypeError),
    "buffers None": ("recvmsg_into", (None,), TypeError),
    "buffers int": ("recvmsg_into", (10,), TypeError),
    "a bytearray": ("recvmsg_into", (bytearray(10),), TypeError),
    "buffer None": ("recvmsg_into", ([None],), TypeError),
    "buffer str": ("recvmsg_into", (["0123456789"],), TypeError),
    "buffer bytes": ("recvmsg_into", ([b"0123456789"],), TypeError),
    "buffer read-only": ("recvmsg_into", ([memoryview(b"0123456789")],), TypeError),
    "buffer strided": ("recvmsg_into", ([memoryview(bytearray(9))[::2]],), TypeError),
    "into control -1": ("recvmsg_into", ([bytearray(10)], -1), ValueError),
    "into control str": ("recvmsg_into", ([bytearray(10)], "1"), TypeError),
    "into flags 2**31": ("recvmsg_into", ([bytearray(10)], 0, 2**31), OverflowError),
    "into flags str": ("recvmsg_into", ([bytearray(10)], 0, "0"), TypeError),
}


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize(("method", "arguments", "expected"), BAD.values(), ids=BAD)
async def test_bad_arguments_are_what_they_are_on_posix(
    sock: trio_wsarecv.Socket,
    kind: int,
    method: str,
    arguments: tuple[Any, ...],
    expected: type[Exception],
) -> None:
    with socket_pair() as (stream, other):
        if kind == socket.SOCK_STREAM:
            sock = stream
            other.sendall(b"data")
        else:
            send_to(sock, b"data")
        counted = Counted()
        if not on_windows:  # what is expected is what it is there
            with pytest.raises(expected):
                getattr(sock.stdlib, method)(*arguments)
        with pytest.raises(expected) as caught:
            await getattr(sock, method)(*arguments)
        assert type(caught.value) is expected
        assert counted.wsarecv_calls == 0
        assert (await sock.recvmsg(10))[0] == b"data"


async def test_good_buffers_are_given_back_when_another_is_bad(
    sock: trio_wsarecv.Socket,
) -> None:
    good = bytearray(4)
    with pytest.raises(TypeError):
        await sock.recvmsg_into([good, b"read-only"])
    good.append(0)
    send_to(sock, b"data")
    assert (await sock.recvmsg_into([good]))[0] == 4


@pytest.mark.windows
@pytest.mark.parametrize("flags", [MsgFlag.MSG_OOB, MsgFlag.MSG_WAITALL, 0x4, 0x40000000, -1])
@both
async def test_a_datagram_can_be_peeked_at_and_no_more(
    sock: trio_wsarecv.Socket, receive: Receive, flags: int
) -> None:
    send_to(sock, b"data")
    counted = Counted()
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await receive(sock, 10, 0, flags)
    assert winerror(caught.value) == WinsockError.WSAEOPNOTSUPP
    assert counted.wsarecv_calls == 0
    assert (await receive(sock, 10))[0] == b"data"


# The example of the documentation.


@pytest.mark.skipif(not on_windows and not on_linux, reason="other numbers")
async def test_a_query_is_answered_from_where_it_was_sent_to_whatever_comes_before() -> None:
    query = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6whoami\0\0\x10\0\1"
    with child([sys.executable, str(EXAMPLE)], 60, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        port = int((await trio.to_thread.run_sync(program.stdout.readline)).split()[-1])
        for family, hosts in (
            (socket.AF_INET, ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.7.7.7")),
            (socket.AF_INET6, ("::1",)),
        ):
            with trio_wsarecv.from_stdlib_socket(
                socket.socket(family, socket.SOCK_DGRAM)
            ) as client:
                await client.bind(("", 0))
                for host in hosts:
                    # None of these has an answer, and none of them ends the server.
                    for data in (b"", b"hello", query[:20], b"\0\0\x80" + query[3:], bytes(60_000)):
                        await client.sendto(data, (host, port))
                    await client.sendto(query, (host, port))
                    answer, address = await client.recvfrom(100)
                    assert answer.startswith(query[:2])
                    assert answer.endswith(f"you asked {host}".encode())
                    if not WINE:  # whose sockets send from any address of their interface
                        assert address[:2] == (host, port)
