"""Datagrams: empty, large, truncated, peeked at, closed and cancelled, by every call."""

from __future__ import annotations

import random
import socket
from functools import partial
from typing import Any

import outcome
import pytest
import trio
from trio.testing import assert_checkpoints

import trio_wsarecv
from tests.datagrams import (
    METHODS,
    TAKE_FLAGS,
    WITH_ADDRESS,
    WITH_FLAGS,
    WITHOUT_FLAGS,
    Method,
    Pair,
    bound,
    every,
    families,
    receive_when,
    when,
)
from tests.peers import Counted, cancel_when_waiting, pattern
from tests.receiving import as_text, on_windows, winerror
from trio_wsarecv import WinsockError


async def check_results(pair: Pair, receive: Method, pending: bool) -> None:
    """Receive datagrams, some of them empty or larger than the room of 4 bytes."""
    for data in (b"data", b"", b"next", b"0123456789", b"", b"0123456789", b"last"):
        result: Any = await receive_when(
            pending, partial(outcome.acapture, receive, pair.sock, 4), partial(pair.send, data)
        )
        if on_windows and len(data) > 4 and receive in WITHOUT_FLAGS:
            pair.send(data)
            with pytest.raises(OSError, match=r".") as known:
                pair.sock.stdlib.recv(4)
            error: Any = result.error
            assert error.partial == data[:4]
            assert winerror(error) == WinsockError.WSAEMSGSIZE
            assert as_text(error) == as_text(known.value)
            assert type(error) is type(known.value)
        else:
            received = result.unwrap()
            assert received.data == data[:4]
            assert received.truncated == (len(data) > 4 and receive in WITH_FLAGS)
            if receive in WITH_ADDRESS:
                assert received.address == pair.sender.getsockname()


@families
@when
@every
async def test_empty_and_truncated_datagrams_are_received(
    family: socket.AddressFamily, receive: Method, pending: bool
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound(family)) as sock, bound(family) as sender:
        await check_results(Pair(sock, sender), receive, pending)


@pytest.mark.windows
@when
@every
def test_the_readiness_engine_on_windows_gives_the_same_results(
    receive: Method, pending: bool
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as sender:
        pair = Pair(sock, sender)

        async def first_run() -> None:
            pair.send(b"data")
            assert await sock.recv(10) == b"data"

        async def second_run() -> None:
            counted = Counted()
            with trio.fail_after(20):
                await check_results(pair, receive, pending)
            assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)

        trio.run(first_run)
        trio.run(second_run)


@when
@every
async def test_the_largest_datagram_is_received_whole(
    pair: Pair, receive: Method, pending: bool
) -> None:
    data = pattern(65507)
    for size in (65507, 65508, 1 << 20):
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


@every
async def test_every_receive_is_a_checkpoint_and_can_be_cancelled(
    pair: Pair, receive: Method
) -> None:
    pair.send(b"data")
    with trio.CancelScope() as scope:
        scope.cancel()
        await receive(pair.sock, 100)
    assert scope.cancelled_caught
    with assert_checkpoints():
        assert (await receive(pair.sock, 100)).data == b"data"
    await cancel_when_waiting(lambda: receive(pair.sock, 100))
    pair.send(b"next")
    assert (await receive(pair.sock, 100)).data == b"next"


@every
async def test_closing_ends_a_receive(pair: Pair, receive: Method) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await receive_when(True, lambda: receive(pair.sock, 10), pair.sock.close)
    assert pair.sock.fileno() == -1
    for flags in ((), (socket.MSG_PEEK,))[: 1 + (receive in TAKE_FLAGS)]:
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await receive(pair.sock, 10, *flags)
        if on_windows:
            assert winerror(caught.value) == WinsockError.WSAENOTSOCK


DATAGRAMS = 150


async def one(receive: Method, sock: trio_wsarecv.Socket) -> list[bytes]:
    return [(await receive(sock, 100)).data]


async def batch(name: str, sock: trio_wsarecv.Socket) -> list[bytes]:
    return [data for data, *_ in await getattr(sock, name)(4, 100)]


RECEIVES = [partial(one, each) for each in METHODS]
RECEIVES += [partial(batch, name) for name in ("recvfrom_many", "recvmsg_many")]


@pytest.mark.parametrize("seed", range(len(RECEIVES)))
async def test_cancellation_loses_no_datagram(pair: Pair, seed: int) -> None:
    receive = RECEIVES[seed]
    rng = random.Random(seed)
    scope = trio.CancelScope()
    received: list[bytes] = []
    sent = cancelled = 0

    async def receive_all() -> None:
        nonlocal scope, cancelled
        while len(received) < DATAGRAMS:
            scope = trio.CancelScope()
            with scope:
                received.extend(await receive(pair.sock))
            cancelled += scope.cancelled_caught

    def send() -> None:
        nonlocal sent
        if sent < DATAGRAMS:
            pair.send(b"%d" % sent)
            sent += 1

    def cancel() -> None:
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all)
        while len(received) < DATAGRAMS:
            if rng.random() < 0.5:
                while len(received) < sent < DATAGRAMS:
                    await trio.lowlevel.checkpoint()
            steps = [send] * rng.randrange(4) + [cancel] * rng.randrange(3)
            rng.shuffle(steps)
            for step in steps:
                step()
                if rng.random() < 0.3:
                    await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
    assert received == [b"%d" % i for i in range(DATAGRAMS)]
    assert cancelled > 10


@pytest.mark.parametrize("name", ["recv_into", "recvfrom_into"])
async def test_a_receive_into_an_empty_buffer_is_as_in_trio(pair: Pair, name: str) -> None:
    stock = trio.socket.from_stdlib_socket(pair.sock.stdlib)
    results = []
    for sock in (stock, pair.sock):
        pair.send(b"data")
        await trio.lowlevel.wait_readable(sock)
        result = await outcome.acapture(getattr(sock, name), bytearray())
        error = getattr(result, "error", None)
        results.append((type(error), as_text(error)) if error else result.unwrap())
    assert results[1] == results[0]
