"""Datagrams: how much of them there is, how they are received, and that none is lost."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import outcome
import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

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
    recv,
    recvfrom,
    recvmsg,
    when,
)
from tests.peers import Counted, pattern
from tests.receiving import as_text, on_windows, winerror
from trio_wsarecv import WinsockError


@families
@when
@every
async def test_a_datagram_of_no_bytes_is_one(
    family: socket.AddressFamily, receive: Method, pending: bool
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound(family)) as sock, bound(family) as sender:
        for data in (b"", b"data", b"", b""):
            received = await receive_when(
                pending,
                lambda: receive(sock, 100),
                partial(sender.sendto, data, sock.getsockname()),
            )
            assert received.data == data
            assert not received.truncated
            if receive in WITH_ADDRESS:
                assert received.address == sender.getsockname()


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


@pytest.mark.windows
@pytest.mark.parametrize("size", [2**31, 2**40, sys.maxsize])
async def test_an_enormous_request_costs_nothing(pair: Pair, size: int) -> None:
    for receive in (recv, recvfrom, recvmsg):
        pair.send(b"data")
        assert (await receive(pair.sock, size)).data == b"data"


@when
@pytest.mark.parametrize("receive", WITH_FLAGS)
async def test_a_flag_says_that_a_datagram_was_truncated(
    pair: Pair, receive: Method, pending: bool
) -> None:
    for _ in range(3):
        received = await receive_when(
            pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"0123456789")
        )
        assert received.data == b"0123"
        assert received.truncated
        received = await receive_when(
            pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"next")
        )
        assert received.data == b"next"
        assert not received.truncated


@pytest.mark.windows
@when
@pytest.mark.parametrize("receive", WITHOUT_FLAGS)
async def test_an_error_says_that_a_datagram_was_truncated(
    pair: Pair, receive: Method, pending: bool
) -> None:
    pair.send(b"0123456789")
    with pytest.raises(OSError, match=r".") as known:
        pair.sock.stdlib.recv(4)
    for _ in range(3):
        with pytest.raises(OSError, match=r".") as caught:
            await receive_when(
                pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"0123456789")
            )
        assert (type(caught.value), as_text(caught.value)) == (
            type(known.value),
            as_text(known.value),
        )
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
        assert caught.value.partial == b"0123"  # type: ignore[attr-defined]
        received = await receive_when(
            pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"next")
        )
        assert received.data == b"next"


@pytest.mark.skipif(on_windows, reason="Windows raises")
@every
async def test_elsewhere_a_datagram_is_truncated_as_there(pair: Pair, receive: Method) -> None:
    pair.send(b"0123456789")
    assert (await receive(pair.sock, 4)).data == b"0123"


@pytest.mark.windows
@when
@every
def test_on_the_readiness_engine_it_is_the_same(receive: Method, pending: bool) -> None:
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as sender:
        pair = Pair(sock, sender)

        async def first_run() -> None:
            pair.send(b"data")
            assert await sock.recv(10) == b"data"

        async def second_run() -> None:
            counted = Counted()
            for data in (b"data", b"", b"next", b"0123456789", b"", b"0123456789", b"last"):
                result = await receive_when(
                    pending,
                    lambda: outcome.acapture(receive, sock, 4),
                    partial(pair.send, data),
                )
                if len(data) > 4 and receive in WITHOUT_FLAGS:
                    assert winerror(result.error) == WinsockError.WSAEMSGSIZE
                    assert result.error.partial == data[:4]
                else:
                    received = result.unwrap()
                    assert received.data == data[:4]
                    assert received.truncated == (len(data) > 4)
                    if receive in WITH_ADDRESS:
                        assert received.address == sender.getsockname()
            assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)

        trio.run(first_run)
        trio.run(second_run)


@when
@pytest.mark.parametrize("receive", TAKE_FLAGS)
async def test_peeking_leaves_the_datagram(pair: Pair, receive: Method, pending: bool) -> None:
    received = await receive_when(
        pending, lambda: receive(pair.sock, 100, socket.MSG_PEEK), lambda: pair.send(b"data")
    )
    assert received.data == b"data"
    assert await receive(pair.sock, 100, socket.MSG_PEEK) == received
    assert await receive(pair.sock, 100) == received
    assert not pair.sock.is_readable()


@every
async def test_closing_ends_a_receive(pair: Pair, receive: Method) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await receive(pair.sock, 10)

        await wait_all_tasks_blocked()
        pair.sock.close()
        assert pair.sock.fileno() == -1
    for flags in ((), (socket.MSG_PEEK,))[: 1 + (receive in TAKE_FLAGS)]:
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await receive(pair.sock, 10, *flags)
        if on_windows:
            assert winerror(caught.value) == WinsockError.WSAENOTSOCK


DATAGRAMS = 150


async def cancelled_at_random(pair: Pair, receive: Callable[[Any, int], Any], seed: int) -> int:
    """Have numbered datagrams arrive in order although receives are cancelled all the time."""
    rng = random.Random(seed)
    scope = trio.CancelScope()
    received: list[bytes] = []
    sent = cancelled = 0

    async def receive_all() -> None:
        nonlocal scope, cancelled
        while len(received) < DATAGRAMS:
            scope = trio.CancelScope()
            with scope:
                received.append((await receive(pair.sock, 100)).data)
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
    return cancelled


@every
async def test_datagrams_are_not_lost_to_cancellation(pair: Pair, receive: Method) -> None:
    assert await cancelled_at_random(pair, receive, seed=METHODS.index(receive)) > 10


async def test_nothing_is_received_into_nothing(pair: Pair) -> None:
    for name in ("recv_into", "recvfrom_into"):
        stock = trio.socket.from_stdlib_socket(pair.sock.stdlib)
        pair.send(b"data")
        await trio.lowlevel.wait_readable(pair.sock)
        try:
            expected: Any = await getattr(stock, name)(bytearray())
        except OSError as exc:
            expected = type(exc), as_text(exc)
        pair.send(b"data")
        await trio.lowlevel.wait_readable(pair.sock)
        try:
            result: Any = await getattr(pair.sock, name)(bytearray())
        except OSError as exc:
            result = type(exc), as_text(exc)
        assert result == expected
