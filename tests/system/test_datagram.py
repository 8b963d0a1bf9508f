"""Datagrams: empty, large, truncated, peeked at, in batches, cancelled, and errors."""

from __future__ import annotations

import itertools
import pickle
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import outcome
import pytest
import trio

import trio_wsarecv
from tests.datagrams import (
    METHODS,
    TAKE_FLAGS,
    WITH_ADDRESS,
    WITHOUT_FLAGS,
    Method,
    Pair,
    bound,
    every,
    families,
    recv,
    recvfrom_many,
    recvmsg,
)
from tests.peers import Counted, pattern, receive_when, when
from tests.receiving import as_text, on_windows, winerror
from tools.windows import SYSTEM, WINE
from trio_wsarecv import Socket, WinsockError

SENT = (b"data", b"", b"next", b"0123456789", b"", b"0123456789", b"last")


async def check_results(sock: Socket, receive: Method, *senders: socket.socket) -> None:
    """Receive datagrams, some of them empty or larger than the room of 4 bytes."""
    for pending, data, sender in itertools.product([False, True], SENT, senders):
        send = partial(sender.sendto, data, sock.getsockname())
        result: Any = await receive_when(pending, partial(outcome.acapture, receive, sock, 4), send)
        send()
        if on_windows and len(data) > 4 and receive in WITHOUT_FLAGS:
            with pytest.raises(OSError, match=r".") as known:
                sock.stdlib.recv(4)
            error: Any = result.error
            assert error.partial == data[:4]
            assert winerror(error) == WinsockError.WSAEMSGSIZE
            assert as_text(error) == as_text(known.value)
            assert type(error) is type(known.value)
        else:
            _, address = sock.stdlib.recvfrom(100)
            received = result.unwrap()
            assert received.data == data[:4]
            assert received.truncated == (len(data) > 4 and receive not in WITHOUT_FLAGS)
            if receive in WITH_ADDRESS:
                assert received.address == address == sender.getsockname()
                assert list(map(type, received.address)) == list(map(type, address))


@families
@every
def test_empty_and_truncated_datagrams_are_received(
    family: socket.AddressFamily, receive: Method
) -> None:
    one = bound(family)
    with trio_wsarecv.from_stdlib_socket(one) as sock, bound(family) as two, bound(family) as three:

        async def main(engine: str) -> None:
            with trio.fail_after(20):
                await check_results(sock, receive, two, three)
            assert sock.engine.startswith(engine)

        for engine in ("overlapped" if on_windows else "readiness", "readiness"):
            trio.run(main, engine)


@every
async def test_the_largest_datagram_is_received_whole(pair: Pair, receive: Method) -> None:
    data = pattern(65507)
    for size, pending in ((65507, False), (65508, True), (1 << 20, False), (1 << 20, True)):
        received = await receive_when(
            pending, partial(receive, pair.sock, size), lambda: pair.send(data)
        )
        assert received.data == data
        assert not received.truncated


@when
@pytest.mark.parametrize("receive", TAKE_FLAGS)
async def test_a_peek_leaves_the_datagram(pair: Pair, receive: Method, pending: bool) -> None:
    received = await receive_when(
        pending, lambda: receive(pair.sock, 100, socket.MSG_PEEK), lambda: pair.send(b"data")
    )
    assert received.data == b"data"
    assert await receive(pair.sock, 100, socket.MSG_PEEK) == received
    assert await receive(pair.sock, 100) == received
    assert not pair.sock.is_readable()


TOTAL = 1000


async def test_random_cancellation_loses_no_datagram(pair: Pair) -> None:
    rng = random.Random(1)
    scope = trio.CancelScope()
    received: list[bytes] = []
    sent = cancelled = 0

    async def receive_all() -> None:
        nonlocal scope, cancelled
        while len(received) < TOTAL:
            with trio.CancelScope() as scope:
                if rng.random() < 0.2:
                    received.extend(data for data, *_ in await pair.sock.recvmsg_many(4, 100))
                else:
                    received.append((await rng.choice(METHODS)(pair.sock, 100)).data)
            cancelled += scope.cancelled_caught

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all)
        while len(received) < TOTAL:
            if rng.random() < 0.3:
                scope.cancel()
            elif sent < min(TOTAL, len(received) + 5):
                pair.send(b"%d" % sent)
                sent += 1
            for _ in range(rng.randrange(3)):
                await trio.lowlevel.checkpoint()
    assert received == [b"%d" % i for i in range(TOTAL)]
    assert cancelled > 50


async def test_a_connected_socket_receives_from_its_peer_only(pair: Pair) -> None:
    with bound() as stranger:
        await pair.sock.connect(pair.sender.getsockname())
        for receive in METHODS:
            stranger.sendto(b"from a stranger", pair.sock.getsockname())
            pair.send(b"from the peer")
            received = await receive(pair.sock, 100)
            assert received.data == b"from the peer"
            if receive in WITH_ADDRESS:
                assert received.address == pair.sender.getsockname()


# Batches.

Batch = Callable[[Socket, int, int], Awaitable[list[Any]]]

of_batches = pytest.mark.parametrize("receive", [Socket.recvfrom_many, Socket.recvmsg_many])


@families
@of_batches
async def test_a_batch_has_datagrams_of_several_senders_in_order(
    receive: Batch, family: socket.AddressFamily
) -> None:
    counted = Counted()
    one = bound(family)
    with trio_wsarecv.from_stdlib_socket(one) as sock, bound(family) as two, bound(family) as three:
        sent = [(two, 3), (three, 5), (two, 60_000), (two, 0), (three, 4)]
        for sender, size in sent:
            sender.sendto(b"x" * size, sock.getsockname())
        received: list[Any] = []
        while len(received) < len(sent):
            received += await receive(sock, 9, 4)
        assert [(data, address) for data, *_, address in received] == [
            (b"x" * min(size, 4), sender.getsockname()) for sender, size in sent
        ]
        assert (counted.bytes, counted.truncated) == (3 + 4 + 4 + 4, 2)
        if receive is Socket.recvfrom_many:
            assert [each.truncated for each in received] == [size > 4 for _, size in sent]
            assert pickle.loads(pickle.dumps(received[1])).truncated
            text = f"Datagram(data=b'xxx', address={two.getsockname()}, truncated=False)"
            assert repr(received[0]) == text


@pytest.mark.skipif(on_windows, reason="the standard library has no recvmsg there")
@of_batches
async def test_an_error_after_the_first_datagram_is_raised_by_the_next_call(
    pair: Pair, receive: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    message: Any = (b"data", [], 0, pair.sender.getsockname())
    answers: list[Any] = [message, ConnectionRefusedError(), message, BlockingIOError()]

    def recvmsg(*_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr("socket.socket.recvmsg", recvmsg, raising=False)
    assert len(await receive(pair.sock, 9, 100)) == 1
    assert pair.sock.is_readable()
    with pytest.raises(ConnectionRefusedError):
        await receive(pair.sock, 9, 100)
    assert not pair.sock.is_readable()
    assert len(await receive(pair.sock, 9, 100)) == 1


#: What sockets of Linux send, and the batches.  The end of a connection of messages looks like an
#: empty datagram without a sender, and can be received any number of times: both end a batch.
BATCHES: dict[str, tuple[list[bytes], list[list[bytes]]]] = {
    "SOCK_DGRAM, UDP": ([b"", b"one", b"", b"two", b""], [[b"", b"one", b"", b"two", b""]]),
    "SOCK_DGRAM": ([b"one", b"", b"", b"two"], [[b"one", b""], [b""], [b"two"]]),
    "SOCK_SEQPACKET": ([b"one", b"two"], [[b"one", b"two", b""], [b""]]),
}


@pytest.mark.skipif(sys.platform != "linux", reason="there a datagram arrives as it is sent")
@pytest.mark.parametrize("kind", BATCHES)
@of_batches
async def test_a_batch_goes_on_after_an_empty_datagram_but_not_after_the_end(
    pair: Pair, receive: Batch, kind: str
) -> None:
    sent, batches = BATCHES[kind]
    sock, sender = pair
    if not kind.endswith("UDP"):
        one, sender = socket.socketpair(type=getattr(socket, kind))
        sock = trio_wsarecv.from_stdlib_socket(one)
    with sock:
        for data in sent:
            sender.send(data)
        sender.close()
        for batch in batches:
            assert [data for data, *_ in await receive(sock, 9, 10)] == batch


# Nobody listens at the destination.


def nobody() -> Any:
    """Return an address where nobody listens."""
    with bound() as sock:
        return sock.getsockname()


@when
@pytest.mark.parametrize("receive", [recv, recvmsg, recvfrom_many])
async def test_a_connected_socket_raises_once_that_nobody_listens(
    receive: Method, pending: bool
) -> None:
    if WINE and not pending:
        pytest.skip(f"{SYSTEM} reports it only to the receive after the next")
    with trio_wsarecv.from_stdlib_socket(bound()) as sock:
        address = nobody()
        await sock.connect(address)
        for _ in range(1 if WINE else 2):
            # Windows says "reset", Linux and Wine say "refused".
            with pytest.raises((ConnectionResetError, ConnectionRefusedError)):
                await receive_when(
                    pending, lambda: receive(sock, 100), lambda: sock.stdlib.send(b"?")
                )
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(address)
            # After it has reported an error, Wine wakes no receive that waits, nor plain Trio's.
            received = await receive_when(
                pending and not WINE,
                lambda: receive(sock, 100),
                lambda: other.sendto(b"here I am", sock.getsockname()),
            )
            assert received.data == b"here I am"


async def test_connreset_can_be_switched_on_every_system(pair: Pair) -> None:
    for enabled in (False, True, False):
        pair.sock.set_udp_connreset(enabled)
        pair.send(b"data")
        assert await pair.sock.recv(10) == b"data"
    pair.sock.close()
    if on_windows:
        with pytest.raises(OSError, match=r".") as caught:
            pair.sock.set_udp_connreset(True)
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK


@pytest.mark.real_windows
@when
@every
async def test_an_unconnected_socket_raises_that_nobody_listens_unless_switched_off(
    pair: Pair, receive: Method, pending: bool
) -> None:
    send = partial(pair.sock.stdlib.sendto, b"?", nobody())
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await receive_when(pending, lambda: receive(pair.sock, 100), send)
    pair.sock.set_udp_connreset(False)
    for data in (b"one", b"two"):
        send()
        received = await receive_when(
            pending, lambda: receive(pair.sock, 100), partial(pair.send, data)
        )
        assert received.data == data


@pytest.mark.real_windows
@every
async def test_a_socket_without_an_address_cannot_receive(receive: Method) -> None:
    with trio_wsarecv.from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM)) as sock:
        with pytest.raises(OSError, match=r".") as caught:
            await receive(sock, 100)
        assert winerror(caught.value) == WinsockError.WSAEINVAL
