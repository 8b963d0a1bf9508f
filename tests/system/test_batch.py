"""`Socket.recvfrom_many` and `Socket.recvmsg_many` on real sockets."""

from __future__ import annotations

import pickle
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import Pair, bound, families
from tests.peers import Counted, socket_pair
from tests.receiving import on_windows
from trio_wsarecv import Datagram

Receive = Callable[[trio_wsarecv.Socket, int, int], Awaitable[list[Any]]]

both = pytest.mark.parametrize(
    "receive", [trio_wsarecv.Socket.recvfrom_many, trio_wsarecv.Socket.recvmsg_many]
)


@families
@both
async def test_datagrams_of_several_peers_come_in_order(
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


@both
async def test_it_waits_for_the_first(pair: Pair, receive: Receive) -> None:
    batches: list[list[Any]] = []

    async def receive_one() -> None:
        batches.append(await receive(pair.sock, 10, 100))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_one)
        await wait_all_tasks_blocked()
        assert not batches
        pair.send(b"data")
    ((message,),) = batches
    assert message[0] == b"data"


async def test_what_does_not_fit_is_marked(pair: Pair) -> None:
    for size in (3, 5, 60_000, 0):
        pair.send(b"x" * size)
    batch: list[Datagram] = []
    while len(batch) < 4:
        batch += await pair.sock.recvfrom_many(4, 4)
    assert [(len(each.data), each.truncated) for each in batch] == [
        (3, False),
        (4, True),
        (4, True),
        (0, False),
    ]
    address = pair.sender.getsockname()
    assert [each.address for each in batch] == [address] * 4
    assert pickle.loads(pickle.dumps(batch[1])).truncated
    address = pair.sender.getsockname()
    assert repr(batch[0]) == f"Datagram(data=b'xxx', address={address}, truncated=False)"
    assert repr(batch[1]) == f"Datagram(data=b'xxxx', address={address}, truncated=True)"


@both
async def test_the_bytes_of_all_of_them_are_counted(pair: Pair, receive: Receive) -> None:
    counted = Counted()
    for data in (b"one", b"three", b"too long", b""):
        pair.send(data)
    received = 0
    while received < 4:
        received += len(await receive(pair.sock, 9, 5))
    assert counted.bytes == 3 + 5 + 5


@pytest.mark.skipif(on_windows, reason="the standard library has no recvmsg there")
@both
async def test_an_error_behind_the_first_comes_with_the_next_call(
    pair: Pair, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [(b"data", [], 0, pair.sender.getsockname()), ConnectionRefusedError()]

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


@both
async def test_it_is_a_checkpoint_and_can_be_cancelled(pair: Pair, receive: Receive) -> None:
    pair.send(b"data")
    with trio.CancelScope() as scope:
        scope.cancel()
        await receive(pair.sock, 10, 100)
    assert scope.cancelled_caught
    with assert_checkpoints():
        ((data, *_),) = await receive(pair.sock, 10, 100)
    assert data == b"data"


@both
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, 10), ValueError),
        ((-1, 10), ValueError),
        ((1, -1), ValueError),
        (("1", 10), TypeError),
        ((1, None), TypeError),
        ((1, 1 << 70), OverflowError),
    ],
)
async def test_arguments_are_checked(
    pair: Pair, receive: Receive, arguments: tuple[Any, Any], error: type[Exception]
) -> None:
    pair.send(b"data")
    with pytest.raises(error):
        await receive(pair.sock, *arguments)
    ((data, *_),) = await receive(pair.sock, 1, 10)
    assert data == b"data"


async def test_the_room_for_ancillary_data_is_checked(pair: Pair) -> None:
    with pytest.raises(ValueError, match="ancbufsize"):
        await pair.sock.recvmsg_many(1, 10, -1)


@both
async def test_a_stream_has_no_datagrams(receive: Receive) -> None:
    with socket_pair() as (sock, _), pytest.raises(ValueError, match="stream"):
        await receive(sock, 1, 10)


@pytest.mark.skipif(sys.platform == "win32", reason="the simulation has errors behind datagrams")
@both
async def test_the_systems_error_behind_the_first_comes_with_the_next_call(
    pair: Pair, receive: Receive
) -> None:
    # Linux tells of an ICMP error before what has arrived already; others need not.
    class Failing(socket.socket):
        calls = 0

        def recvmsg(self, *arguments: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                raise ConnectionRefusedError
            return super().recvmsg(*arguments)  # type: ignore[misc, unused-ignore]

    for sent in (b"one", b"two"):
        pair.send(sent)
    failing = Failing(fileno=pair.sock.stdlib.dup().detach())
    with failing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.sock, "stdlib", failing)
        for expected in (b"one", None, b"two"):
            if expected is None:
                with pytest.raises(ConnectionRefusedError):
                    await receive(pair.sock, 2, 10)
            else:
                ((data, *_),) = await receive(pair.sock, 2, 10)
                assert data == expected


@pytest.mark.skipif(sys.platform != "linux", reason="a datagram arrives while it is sent")
@both
async def test_a_datagram_of_no_bytes_does_not_end_the_batch(pair: Pair, receive: Receive) -> None:
    for data in (b"", b"one", b"", b"", b"two", b""):
        pair.send(data)
    batch = await receive(pair.sock, 9, 100)
    assert [message[0] for message in batch] == [b"", b"one", b"", b"", b"two", b""]
    assert {message[-1] for message in batch} == {pair.sender.getsockname()}


@pytest.mark.skipif(sys.platform != "linux", reason="has connections of messages")
@both
async def test_the_end_of_a_connection_of_messages_ends_the_batch(receive: Receive) -> None:
    # It can be received any number of times, so a batch without a bound would never end.
    one, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with trio_wsarecv.from_stdlib_socket(one) as sock, other:
        for data in (b"one", b"two"):
            other.send(data)
        assert [data for data, *_ in await receive(sock, 9, 10)] == [b"one", b"two"]
        other.send(b"three")
        other.close()
        assert [data for data, *_ in await receive(sock, 9, 10)] == [b"three", b""]
        assert [data for data, *_ in await receive(sock, 9, 10)] == [b""]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such sockets")
@both
async def test_nothing_from_nobody_is_a_datagram_too(receive: Receive) -> None:
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with trio_wsarecv.from_stdlib_socket(one) as sock, other:
        sent = [b"one", b"", b"", b"two"]
        for data in sent:
            other.send(data)
        received: list[bytes] = []
        while len(received) < len(sent):
            received += [data for data, *_ in await receive(sock, 9, 10)]
        assert received == sent


@both
async def test_large_requests_reserve_little(pair: Pair, receive: Receive) -> None:
    pair.send(b"data")
    ((data, *_),) = await receive(pair.sock, 1 << 60, 1 << 60)
    assert data == b"data"


@both
async def test_no_datagram_is_lost_when_receives_are_cancelled(
    pair: Pair, receive: Receive
) -> None:
    rng = random.Random(1)
    received: list[bytes] = []
    sent = 300

    async def receive_all() -> None:
        while len(received) < sent:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    if rng.random() < 0.5:
                        nursery.start_soon(cancel_soon, scope)
                    batch = await receive(pair.sock, 4, 100)
                    # The scope ends without a checkpoint.
                    received.extend(data for data, *_ in batch)
                    nursery.cancel_scope.cancel()

    async def cancel_soon(scope: trio.CancelScope) -> None:
        for _ in range(rng.randrange(3)):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all)
        for number in range(sent):
            pair.send(b"%d" % number)
            if rng.random() < 0.5:
                await trio.lowlevel.checkpoint()
    assert received == [b"%d" % number for number in range(sent)]
