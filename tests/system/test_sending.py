"""`Socket.sendto_many` and `Socket.sendmsg` on real sockets."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import assert_checkpoints

import trio_wsarecv
from tests.datagrams import Pair, bound, families
from tests.peers import pattern, socket_pair
from tests.receiving import on_windows, winerror
from tools.windows import WINE
from trio_wsarecv import WinsockError

if TYPE_CHECKING:
    from pathlib import Path

on_linux = sys.platform == "linux"

# Some systems do not show what is sent, or have other values for it.
only_linux = pytest.mark.skipif(not on_linux, reason="other numbers")
shows_what_goes_out = pytest.mark.real_windows if on_windows else only_linux

PKTINFO = 19 if on_windows else 8
TTL = 4 if on_windows else 2
TOS = 3 if on_windows else 1


def from_address(host: str) -> tuple[int, int, bytes]:
    """Return the ancillary data that sets the source address of a datagram."""
    packed = socket.inet_aton(host)
    data = packed + bytes(4) if on_windows else bytes(4) + packed + bytes(4)
    return socket.IPPROTO_IP, PKTINFO, data


def take(sock: socket.socket, count: int) -> list[tuple[bytes, Any]]:
    sock.settimeout(10)
    return [sock.recvfrom(65536) for _ in range(count)]


# Many datagrams.


@families
async def test_each_datagram_goes_to_its_address(family: socket.AddressFamily) -> None:
    with (
        trio_wsarecv.from_stdlib_socket(bound(family)) as sock,
        bound(family) as one,
        bound(family) as two,
    ):
        peers = [one, two]
        for number in range(10):
            peers[number % 2].sendto(b"%d" % number, sock.getsockname())
        received = 0
        while received < 10:
            batch = await sock.recvfrom_many(10, 100)
            with assert_checkpoints():
                sent = await sock.sendto_many((data.upper(), address) for data, address in batch)
            assert sent == len(batch)
            received += sent
        for peer, expected in zip(peers, (b"02468", b"13579"), strict=True):
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

    async def test_addresses_of_other_families_are_left_to_the_system(
        tmp_path: Path,
    ) -> None:
        path = str(tmp_path / "socket")
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one,
        ):
            sock = trio_wsarecv.from_stdlib_socket(one)
            peer.bind(path)
            assert await sock.sendto_many([(b"data", path)]) == 1
            assert peer.recv(100) == b"data"
            with pytest.raises(FileNotFoundError):
                await sock.sendto_many([(b"data", path + "else")])


# Messages.


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
        await sock.connect(address)
        assert await sock.sendmsg([b"connected"]) == 9
        expected = [b"data and more", b"", pattern(30_000) * 2, b"connected"]
        assert take(peer, 4) == [(data, sock.getsockname()) for data in expected]


async def test_ancillary_data_is_accepted(pair: Pair) -> None:
    ancillary = [from_address("127.0.0.1"), (socket.IPPROTO_IP, TTL, struct.pack("i", 33))]
    address = pair.sender.getsockname()
    assert await pair.sock.sendmsg([b"da", b"ta"], iter(ancillary), 0, address) == 4
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
    receiver = trio_wsarecv.from_stdlib_socket(pair.sender)
    for option in (21, 40) if on_windows else (12, 13):  # IP_RECVTTL, IP_RECVTOS
        pair.sender.setsockopt(socket.IPPROTO_IP, option, 1)
    ancillary = [
        (socket.IPPROTO_IP, TTL, struct.pack("i", 33)),
        # Windows has a control message for the two bits of ECN.
        (socket.IPPROTO_IP, 50 if on_windows else TOS, struct.pack("i", 2)),
    ]
    await pair.sock.sendmsg([b"da", b"ta"], ancillary, 0, pair.sender.getsockname())
    data, received, _, _ = await receiver.recvmsg(100, 100)
    assert data == b"data"
    values = {kind: int.from_bytes(data, "little") for _, kind, data in received}
    assert values == {TTL: 33, TOS: 2}


async def test_a_message_that_is_too_large_is_an_error(pair: Pair) -> None:
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await pair.sock.sendmsg([bytes(65_000), bytes(508)], (), 0, pair.sender.getsockname())
    if on_windows:
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE


async def test_a_stream_is_sent_in_parts_without_loss() -> None:
    data = pattern(3_000_000)
    with socket_pair() as (sock, other):
        received = bytearray()

        async def receive() -> None:
            other.setblocking(False)
            while len(received) < len(data):
                await trio.lowlevel.wait_readable(other)
                received.extend(other.recv(65536))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            position = 0
            while position < len(data):
                buffers = [bytearray(data[position + n : position + n + 9999]) for n in (0, 9999)]
                position += await sock.sendmsg(buffers)
                for buffer in buffers:
                    buffer.append(0)
        assert bytes(received) == data
