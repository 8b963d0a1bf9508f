"""`Socket.recvmsg` and `Socket.recvmsg_into`: as in Python on POSIX."""

from __future__ import annotations

import inspect
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from trio.testing import assert_checkpoints

import trio_wsarecv
from tests.datagrams import LOOPBACK, Pair
from tests.peers import Counted
from tests.receiving import on_windows, winerror
from trio_wsarecv import MsgFlag, WinsockError

Receive = Callable[..., Awaitable[tuple[bytes, Any, int, Any]]]

MSG_TRUNC, MSG_CTRUNC = (0x100, 0x200) if on_windows else (socket.MSG_TRUNC, socket.MSG_CTRUNC)

known_numbers = pytest.mark.skipif(
    sys.platform not in ("win32", "linux"), reason="other values of the options"
)


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


@pytest.mark.parametrize(
    ("name", "defaults"),
    [("recvmsg", (0, 0)), ("recvmsg_into", (0, 0)), ("sendmsg", ((), 0, None))],
)
def test_the_signature_is_that_of_the_standard_library(name: str, defaults: tuple[Any]) -> None:
    method = getattr(trio_wsarecv.Socket, name)
    _, *parameters = inspect.signature(method).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.POSITIONAL_ONLY}
    assert [each.default for each in parameters] == [inspect.Parameter.empty, *defaults]


@both
@pytest.mark.parametrize("size", [0, 3, 10])
async def test_a_datagram_is_truncated_to_the_room_for_it(
    pair: Pair, receive: Receive, size: int
) -> None:
    for sent in (b"data", b""):
        pair.send(sent)
        result = await receive(pair.sock, size, 100)
        flags = MSG_TRUNC if len(sent) > size else 0
        assert result == (sent[:size], [], flags, pair.sender.getsockname())
        if not size:
            pair.send(sent)
            assert await pair.sock.recvmsg_into([]) == (0, *result[1:])


class Option(NamedTuple):
    """An option that asks for ancillary data, and that data."""

    family: socket.AddressFamily
    level: int
    option: int
    type: int
    data: str


# The standard library has names for these on some systems only.
IPV4, IPV6 = (socket.AF_INET, 0), (socket.AF_INET6, 41)
OPTIONS = (
    {
        "IP_PKTINFO": Option(*IPV4, 19, 19, "4sI"),
        "IP_RECVTTL": Option(*IPV4, 21, 4, "i"),
        "IP_RECVTOS": Option(*IPV4, 40, 3, "i"),
        "IPV6_PKTINFO": Option(*IPV6, 19, 19, "16sI"),
        "IPV6_HOPLIMIT": Option(*IPV6, 21, 21, "i"),
        "IPV6_RECVTCLASS": Option(*IPV6, 40, 39, "i"),
    }
    if on_windows
    else {
        "IP_PKTINFO": Option(*IPV4, 8, 8, "I4s4s"),
        "IP_RECVTTL": Option(*IPV4, 12, 2, "i"),
        "IP_RECVTOS": Option(*IPV4, 13, 1, "b"),
        "IPV6_PKTINFO": Option(*IPV6, 49, 50, "16sI"),
        "IPV6_HOPLIMIT": Option(*IPV6, 51, 52, "i"),
        "IPV6_RECVTCLASS": Option(*IPV6, 66, 67, "i"),
    }
)


@known_numbers
@pytest.mark.parametrize("name", OPTIONS)
@both
async def test_ancillary_data_is_received_and_its_truncation_flagged(
    receive: Receive, name: str
) -> None:
    option = OPTIONS[name]
    one, sender = (socket.socket(option.family, socket.SOCK_DGRAM) for _ in range(2))
    with trio_wsarecv.from_stdlib_socket(one) as sock, sender:
        try:
            for each in (one, sender):
                each.bind((LOOPBACK[option.family], 0))
            one.setsockopt(option.level, option.option, 1)
        except OSError as exc:
            pytest.skip(f"not on this system: {exc}")
        if option.family == socket.AF_INET:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
        address = sender.getsockname()
        counted = Counted()
        sender.sendto(b"data", one.getsockname())
        data, ((level, kind, content),), *rest = await receive(sock, 10, 100)
        assert (data, rest) == (b"data", [0, address])
        assert (level, kind) == (option.level, option.type)
        values = struct.unpack(option.data, content)
        if "PKTINFO" in name:
            assert socket.inet_pton(option.family, address[0]) in values
        elif name == "IP_RECVTTL":
            assert values == (33,)
        assert counted.wsarecv_calls == on_windows

        for sent, size, control_size, count, flags in (
            (b"data", 10, 8, 0, MSG_CTRUNC),
            (b"longer data", 6, 100, 1, MSG_TRUNC),
            (b"longer data", 6, 8, 0, MSG_CTRUNC | MSG_TRUNC),
        ):
            sender.sendto(sent, one.getsockname())
            data, ancdata, *rest = await receive(sock, size, control_size)
            assert (data, len(ancdata), rest) == (sent[:size], count, [flags, address])


@pytest.mark.windows
@pytest.mark.parametrize("flags", [MsgFlag.MSG_OOB, MsgFlag.MSG_WAITALL, -1])
async def test_peek_is_the_only_flag_for_a_datagram(pair: Pair, flags: int) -> None:
    pair.send(b"data")
    counted, buffer = Counted(), bytearray(10)
    for call in (pair.sock.recvmsg(10, 0, flags), pair.sock.recvmsg_into([buffer], 0, flags)):
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await call
        assert winerror(caught.value) == WinsockError.WSAEOPNOTSUPP
    assert counted.wsarecv_calls == 0
    assert (await pair.sock.recvmsg(10))[0] == b"data"


@pytest.mark.parametrize("name", ["recvmsg", "recvmsg_into", "sendmsg"])
def test_a_socket_has_the_methods_of_posix_on_every_system(name: str) -> None:
    with socket.socket() as sock:
        assert hasattr(trio_wsarecv.from_stdlib_socket(sock), name)
