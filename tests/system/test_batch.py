"""`Socket.recvfrom_many` and `Socket.recvmsg_many` on real sockets."""

from __future__ import annotations

import pickle
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trio_wsarecv
from tests.datagrams import Pair, bound, families
from tests.peers import Counted
from tests.receiving import on_windows
from trio_wsarecv import Datagram

Receive = Callable[[trio_wsarecv.Socket, int, int], Awaitable[list[Any]]]

both = pytest.mark.parametrize(
    "receive", [trio_wsarecv.Socket.recvfrom_many, trio_wsarecv.Socket.recvmsg_many]
)
no_recvmsg = pytest.mark.skipif(on_windows, reason="the standard library has no recvmsg there")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs sockets of Linux")


async def receive_all(receive: Receive, sock: trio_wsarecv.Socket, count: int) -> list[bytes]:
    """Receive until there were so many datagrams, and return their data."""
    received: list[bytes] = []
    while len(received) < count:
        received += [data for data, *_ in await receive(sock, 9, 10)]
    return received


@families
@both
async def test_datagrams_of_several_senders_are_in_order(
    receive: Receive, family: socket.AddressFamily
) -> None:
    with (
        trio_wsarecv.from_stdlib_socket(bound(family)) as sock,
        bound(family) as one,
        bound(family) as two,
    ):
        for number in range(6):
            (one, two)[number % 2].sendto(b"%d" % number, sock.getsockname())
        received: list[Any] = []
        while len(received) < 6:
            received += await receive(sock, 4, 100)
        for number, (data, *_, address) in enumerate(received):
            assert data == b"%d" % number
            assert address == (one, two)[number % 2].getsockname()


async def test_truncated_datagrams_are_marked_and_the_received_bytes_counted(pair: Pair) -> None:
    counted = Counted()
    for size in (3, 5, 60_000, 0):
        pair.send(b"x" * size)
    batch: list[Datagram] = []
    while len(batch) < 4:
        batch += await pair.sock.recvfrom_many(4, 4)
    expected = [(3, False), (4, True), (4, True), (0, False)]
    assert [(len(each.data), each.truncated) for each in batch] == expected
    assert counted.bytes == 3 + 4 + 4
    address = pair.sender.getsockname()
    assert [each.address for each in batch] == [address] * 4
    assert pickle.loads(pickle.dumps(batch[1])).truncated
    assert repr(batch[0]) == f"Datagram(data=b'xxx', address={address}, truncated=False)"


@no_recvmsg
@both
async def test_an_error_after_the_first_datagram_is_raised_by_the_next_call(
    pair: Pair, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [
        (b"data", [], 0, pair.sender.getsockname()),
        ConnectionRefusedError(),
        (b"more", [], 0, pair.sender.getsockname()),
        BlockingIOError(),
    ]

    def recvmsg(*_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr("socket.socket.recvmsg", recvmsg, raising=False)
    ((data, *_),) = await receive(pair.sock, 9, 100)
    assert data == b"data"
    assert pair.sock.is_readable()
    with pytest.raises(ConnectionRefusedError):
        await receive(pair.sock, 9, 100)
    assert not pair.sock.is_readable()
    ((data, *_),) = await receive(pair.sock, 9, 100)
    assert data == b"more"


@only_linux  # where a datagram has arrived as soon as it is sent
@both
async def test_an_empty_datagram_does_not_end_the_batch(pair: Pair, receive: Receive) -> None:
    sent = [b"", b"one", b"", b"", b"two", b""]
    for data in sent:
        pair.send(data)
    batch = await receive(pair.sock, 9, 100)
    assert [message[0] for message in batch] == sent
    assert {message[-1] for message in batch} == {pair.sender.getsockname()}


@only_linux
@both
async def test_the_end_of_a_connection_of_messages_ends_the_batch(receive: Receive) -> None:
    # The end can be received any number of times, so it has to end the batch.
    one, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with trio_wsarecv.from_stdlib_socket(one) as sock, other:
        other.send(b"one")
        other.send(b"two")
        assert [data for data, *_ in await receive(sock, 9, 10)] == [b"one", b"two"]
        other.send(b"three")
        other.close()
        assert [data for data, *_ in await receive(sock, 9, 10)] == [b"three", b""]
        assert [data for data, *_ in await receive(sock, 9, 10)] == [b""]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such sockets")
@both
async def test_an_empty_datagram_without_a_sender_is_received(receive: Receive) -> None:
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with trio_wsarecv.from_stdlib_socket(one) as sock, other:
        sent = [b"one", b"", b"", b"two"]
        for data in sent:
            other.send(data)
        assert await receive_all(receive, sock, len(sent)) == sent
