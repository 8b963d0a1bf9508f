"""`recvmsg`, `sendmsg` and `sendto_many`: ancillary data, and many datagrams at a time."""

from __future__ import annotations

import inspect
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trio
from trio.testing import assert_checkpoints

import trio_wsarecv
from tests.datagrams import LOOPBACK, Pair, bound, families
from tests.peers import Counted, pattern, socket_pair
from tests.receiving import on_windows, winerror
from tests.simulation import Call
from tools.windows import WINE
from trio_wsarecv import Socket, WinsockError

if TYPE_CHECKING:
    from pathlib import Path

Receive = Callable[..., Awaitable[tuple[bytes, Any, int, Any]]]

MSG_TRUNC, MSG_CTRUNC = (0x100, 0x200) if on_windows else (socket.MSG_TRUNC, socket.MSG_CTRUNC)


@pytest.mark.parametrize(
    ("name", "defaults"),
    [("recvmsg", (0, 0)), ("recvmsg_into", (0, 0)), ("sendmsg", ((), 0, None))],
)
def test_the_signature_is_that_of_the_standard_library(name: str, defaults: tuple[Any]) -> None:
    _, *parameters = inspect.signature(getattr(Socket, name)).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.POSITIONAL_ONLY}
    assert [each.default for each in parameters] == [inspect.Parameter.empty, *defaults]


# Receiving.


async def recvmsg_into(sock: Socket, size: int, control_size: int) -> tuple[bytes, Any, int, Any]:
    buffers = [bytearray(b"." * part) for part in (size // 2, 0, size - size // 2)]
    nbytes, *rest = await sock.recvmsg_into(buffers, control_size)
    data = b"".join(buffers)
    assert not data[nbytes:].strip(b".")
    return data[:nbytes], rest[0], rest[1], rest[2]


both = pytest.mark.parametrize("receive", [Socket.recvmsg, recvmsg_into])


@both
async def test_without_room_an_empty_datagram_is_received_and_another_truncated(
    pair: Pair, receive: Receive
) -> None:
    for sent in (b"data", b""):
        flags, address = MSG_TRUNC if sent else 0, pair.sender.getsockname()
        pair.send(sent)
        assert await receive(pair.sock, 0, 100) == (b"", [], flags, address)
        pair.send(sent)
        assert await pair.sock.recvmsg_into([]) == (0, [], flags, address)


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
known_numbers = pytest.mark.skipif(
    sys.platform not in ("win32", "linux"), reason="other values of the options"
)
# Elsewhere these have other values, and Wine does not send them.
shows_what_goes_out = pytest.mark.real_windows if on_windows else known_numbers


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
        for sent, size, control_size, count, flags in (
            (b"data", 10, 100, 1, 0),
            (b"data", 10, 8, 0, MSG_CTRUNC),
            (b"longer data", 6, 100, 1, MSG_TRUNC),
            (b"longer data", 6, 8, 0, MSG_CTRUNC | MSG_TRUNC),
        ):
            sender.sendto(sent, one.getsockname())
            data, ancillary, *rest = await receive(sock, size, control_size)
            assert (data, len(ancillary), rest) == (sent[:size], count, [flags, address])
            for level, kind, content in ancillary:
                assert (level, kind) == (option.level, option.type)
                values = struct.unpack(option.data, content)
                if "PKTINFO" in name:
                    assert socket.inet_pton(option.family, address[0]) in values
                elif name == "IP_RECVTTL":
                    assert values == (33,)
        assert counted.wsarecv_calls == (4 if on_windows else 0)


# Sending.


def take(sock: socket.socket, count: int) -> list[tuple[bytes, Any]]:
    sock.settimeout(10)
    return [sock.recvfrom(65536) for _ in range(count)]


@families
async def test_each_datagram_goes_to_its_address(family: socket.AddressFamily) -> None:
    with (
        trio_wsarecv.from_stdlib_socket(bound(family)) as sock,
        bound(family) as one,
        bound(family) as two,
    ):
        for number in range(10):
            (one, two)[number % 2].sendto(b"%d" % number, sock.getsockname())
        received = 0
        while received < 10:
            batch = await sock.recvfrom_many(10, 100)
            with assert_checkpoints():
                sent = await sock.sendto_many((data.upper(), address) for data, address in batch)
            assert sent == len(batch)
            received += sent
        for peer, expected in ((one, b"02468"), (two, b"13579")):
            answers = take(peer, 5)
            assert b"".join(data for data, _ in answers) == expected
            assert {address for _, address in answers} == {sock.getsockname()}


@pytest.mark.parametrize(
    ("data", "host", "error"),
    [
        (bytes(65508), "127.0.0.1", OSError),
        (b"data", "255.255.255.255", PermissionError),
        (b"data", "localhost", ValueError),  # no name is resolved
        ("text", "127.0.0.1", TypeError),
    ],
    ids=["too large", "broadcast", "a name", "text"],
)
async def test_the_error_of_a_datagram_has_the_number_of_those_sent_before(
    pair: Pair, data: Any, host: str, error: type[Exception]
) -> None:
    address = pair.sender.getsockname()
    datagrams = [(b"one", address), (b"two", address), (data, (host, 9)), (b"4", address)]
    with assert_checkpoints(), pytest.raises(error, match=r".") as caught:
        await pair.sock.sendto_many(datagrams)
    if on_windows and error is OSError:
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
    sent = caught.value.sent  # type: ignore[attr-defined]
    assert sent == 2
    assert await pair.sock.sendto_many(datagrams[sent + 1 :]) == 1
    assert [data for data, _ in take(pair.sender, 3)] == [b"one", b"two", b"4"]


async def test_only_a_connected_socket_needs_no_addresses(pair: Pair) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        await pair.sock.sendto_many([(b"data", None)])
    if on_windows and not WINE:
        assert winerror(caught.value) == WinsockError.WSAENOTCONN
    await pair.sock.connect(pair.sender.getsockname())
    buffers: list[Any] = [b"one", bytearray(b"two"), memoryview(b"three"), b""]
    assert await pair.sock.sendto_many((data, None) for data in buffers) == 4
    assert [data for data, _ in take(pair.sender, 4)] == [b"one", b"two", b"three", b""]


if sys.platform != "win32":

    async def test_addresses_of_other_families_are_left_to_the_system(tmp_path: Path) -> None:
        path = str(tmp_path / "socket")
        one, peer = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        with trio_wsarecv.from_stdlib_socket(one) as sock, peer:
            peer.bind(path)
            assert await sock.sendto_many([(b"data", path)]) == 1
            assert peer.recv(100) == b"data"
            with pytest.raises(FileNotFoundError):
                await sock.sendto_many([(b"data", path + "else")])


@families
async def test_a_datagram_is_sent_from_several_buffers(family: socket.AddressFamily) -> None:
    with trio_wsarecv.from_stdlib_socket(bound(family)) as sock, bound(family) as peer:
        address = peer.getsockname()
        buffers: list[Any] = [b"da", bytearray(b"ta"), b"", memoryview(b" and more")]
        with assert_checkpoints():
            assert await sock.sendmsg(iter(buffers), (), 0, address) == 13
        assert await sock.sendmsg([], [], 0, address[:2]) == 0
        assert await sock.sendmsg([pattern(30_000)] * 2, iter([]), 0, address) == 60_000
        buffers[1].append(0)
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as too_large:
            await sock.sendmsg([bytes(65_000), bytes(528)], (), 0, address)
        if on_windows:
            assert winerror(too_large.value) == WinsockError.WSAEMSGSIZE
        await sock.connect(address)
        assert await sock.sendmsg([b"connected"]) == 9
        expected = [b"data and more", b"", pattern(30_000) * 2, b"connected"]
        assert take(peer, 4) == [(data, sock.getsockname()) for data in expected]


def from_address(host: str) -> tuple[int, int, bytes]:
    """Return the ancillary data that sets the source address of a datagram."""
    packed = socket.inet_aton(host)
    data = packed + bytes(4) if on_windows else bytes(4) + packed + bytes(4)
    return socket.IPPROTO_IP, OPTIONS["IP_PKTINFO"].type, data


def ttl(value: int) -> tuple[int, int, bytes]:
    return socket.IPPROTO_IP, OPTIONS["IP_RECVTTL"].type, struct.pack("i", value)


async def test_ancillary_data_is_accepted(pair: Pair) -> None:
    ancillary = iter([from_address("127.0.0.1"), ttl(33)])
    address = pair.sender.getsockname()
    assert await pair.sock.sendmsg([b"da", b"ta"], ancillary, 0, address) == 4
    assert take(pair.sender, 1) == [(b"data", pair.sock.getsockname())]


@shows_what_goes_out
async def test_pktinfo_sets_the_source_address() -> None:
    one = socket.socket(type=socket.SOCK_DGRAM)
    with trio_wsarecv.from_stdlib_socket(one) as sock, bound() as peer:
        await sock.bind(("0.0.0.0", 0))
        for host in ("127.0.0.2", "127.0.0.1", "127.9.9.9"):
            await sock.sendmsg([b"data"], [from_address(host)], 0, peer.getsockname())
            assert take(peer, 1) == [(b"data", (host, sock.getsockname()[1]))]


@shows_what_goes_out
async def test_ancillary_data_sets_ttl_and_ecn(pair: Pair) -> None:
    tos = OPTIONS["IP_RECVTOS"].type
    for name in ("IP_RECVTTL", "IP_RECVTOS"):
        pair.sender.setsockopt(socket.IPPROTO_IP, OPTIONS[name].option, 1)
    # Windows has a control message for the two bits of ECN.
    ecn = (socket.IPPROTO_IP, 50 if on_windows else tos, struct.pack("i", 2))
    await pair.sock.sendmsg([b"da", b"ta"], [ttl(33), ecn], 0, pair.sender.getsockname())
    receiver = trio_wsarecv.from_stdlib_socket(pair.sender)
    data, received, _, _ = await receiver.recvmsg(100, 100)
    assert data == b"data"
    values = {kind: int.from_bytes(data, "little") for _, kind, data in received}
    assert values == {ttl(33)[1]: 33, tos: 2}


async def test_a_stream_is_sent_in_parts_without_loss() -> None:
    data = pattern(3_000_000)
    with socket_pair() as (sock, other):
        stream = trio_wsarecv.SocketStream(trio_wsarecv.from_stdlib_socket(other))
        async with trio.open_nursery() as nursery:
            received = Call(nursery, stream.receive_exactly, len(data))
            position = 0
            while position < len(data):
                buffers = [bytearray(data[position + n : position + n + 9999]) for n in (0, 9999)]
                position += await sock.sendmsg(buffers)
                for buffer in buffers:
                    buffer.append(0)
        same = received.value == data  # whose difference would be megabytes to print
        assert same
