"""A receive that is cancelled loses nothing, whenever the cancellation comes."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, HostilePeer, pattern, socket_pair, stream_pair, wait_until_received
from tests.simulation import Call

Receive = Callable[[trio_wsarecv.SocketStream], Awaitable[bytes]]

on_windows = sys.platform == "win32"

# What the random cancellations receive in each run, and how often. Ten runs of 32 MiB for each
# kind of receive are the full measure; the peer then sends for some minutes.
TOTAL = 1 << 20
RUNS = 1
CANCELLED = 10
PAUSE = 4
PIECE = 16 << 10


async def receive_some(stream: trio_wsarecv.SocketStream) -> bytes:
    return await stream.receive_some()


async def recv(stream: trio_wsarecv.SocketStream) -> bytes:
    return await stream.socket.recv(PIECE)


async def receive_into(stream: trio_wsarecv.SocketStream) -> bytes:
    buffer = bytearray(PIECE)
    return bytes(buffer[: await stream.receive_into(buffer)])


async def receive_exactly(stream: trio_wsarecv.SocketStream) -> bytes:
    # Of no size that divides what is sent at once.
    return await stream.receive_exactly(9973)


async def receive_exactly_into(stream: trio_wsarecv.SocketStream) -> bytes:
    buffer = bytearray(40_000)
    await stream.receive_exactly_into(buffer)
    return bytes(buffer)


async def receive_anyhow(stream: trio_wsarecv.SocketStream) -> bytes:
    return await random.choice(ALL)(stream)


ALL: list[Receive] = [receive_some, recv, receive_into, receive_exactly, receive_exactly_into]


@pytest.mark.deadline(600)
@pytest.mark.parametrize("receive", [*ALL, receive_anyhow])
async def test_not_a_byte_is_lost_to_cancellations_at_random(
    peer: HostilePeer, receive: Receive
) -> None:
    counted = Counted()
    runs = 0
    while runs < RUNS or counted.cancelled < CANCELLED:
        runs += 1
        received = bytearray()
        async with peer.connect(f"drip {TOTAL} {PIECE} {PAUSE}", "fin") as stream:
            while True:
                data = b""
                with trio.move_on_after(random.uniform(0, 0.002)) as scope:
                    try:
                        data = await receive(stream)
                    except trio_wsarecv.IncompleteReceiveError as exc:
                        received += exc.partial
                        break
                received += data
                if not data and not scope.cancelled_caught:
                    break
        # A comparison that fails would print megabytes.
        assert len(received) == TOTAL
        assert bytes(received) == pattern(TOTAL), "the bytes differ"
    for name in ("immediate", "pended", "cancelled", "received_despite_cancel", "bytes"):
        print(name, getattr(counted, name))
    assert counted.pended > counted.cancelled
    assert counted.failed == 0
    assert bool(counted.wsarecv_calls) is on_windows


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope just before a task of this test is run for the so-many-th time."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self.scope = scope
        self.steps_left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            self.scope.cancel()


async def find_data(stream: trio_wsarecv.SocketStream, other: socket.socket) -> None:
    other.sendall(b"warm")
    await trio.lowlevel.wait_readable(stream.socket)
    assert await stream.receive_exactly(4) == b"warm"


@pytest.mark.parametrize("warm", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("then", ALL)
@pytest.mark.parametrize("receive", [receive_some, recv, receive_into, receive_exactly])
async def test_a_receive_can_be_cancelled_at_every_step(
    receive: Receive, then: Receive, warm: bool
) -> None:
    data = pattern(2 * 9973)
    caught = True
    step = 0
    while caught:
        step += 1
        with stream_pair() as (stream, other):
            if warm:
                await find_data(stream, other)
            received = b""
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def send() -> None:
                    for start in range(0, len(data), 2500):
                        await wait_all_tasks_blocked()
                        other.sendall(data[start : start + 2500])

                with trio.CancelScope() as scope:
                    instrument = CancelAtStep(scope, step)
                    trio.lowlevel.add_instrument(instrument)
                    try:
                        received = await receive(stream)
                    finally:
                        trio.lowlevel.remove_instrument(instrument)
                caught = scope.cancelled_caught
            other.close()
            while True:
                try:
                    piece = await then(stream)
                except trio_wsarecv.IncompleteReceiveError as exc:
                    piece = exc.partial
                if not piece:
                    break
                received += piece
            assert received == data
    assert step >= 3


@pytest.mark.windows
@pytest.mark.parametrize("name", ["recv_into", "recvfrom_into", "recvmsg_into"])
async def test_data_that_has_arrived_wins_over_a_cancellation(name: str) -> None:
    counted = Counted()
    buffer = bytearray(10)
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            receive = getattr(sock, name)
            call = Call(nursery, receive, [buffer] if name == "recvmsg_into" else buffer)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            wait_until_received(buffer)
            call.scope.cancel()
        assert call.succeeded
        assert buffer == b"data" + bytes(6)
    assert counted.received_despite_cancel == 1
    assert (counted.cancelled, counted.bytes) == (0, 4)


@pytest.mark.skipif(on_windows, reason="there the kernel has already received it")
async def test_elsewhere_data_that_has_arrived_is_left_to_the_next_receive() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            call = Call(nursery, sock.recv, 10)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            call.scope.cancel()
        assert call.cancelled
        assert await sock.recv(10) == b"data"


@pytest.mark.windows
async def test_the_cancellation_still_comes_after_the_data_that_won() -> None:
    buffer = bytearray(10)
    with socket_pair() as (sock, other):

        async def receive() -> None:
            await sock.recv_into(buffer)
            await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            call = Call(nursery, receive)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            wait_until_received(buffer)
            call.scope.cancel()
        assert call.cancelled
        assert buffer == b"data" + bytes(6)


async def test_many_cancelled_receives_are_never_taken_for_one_another() -> None:
    async def talk(number: int) -> None:
        with stream_pair() as (stream, other):
            for turn in range(10):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(stream.receive_exactly, 100)
                        await trio.lowlevel.checkpoint()
                        scope.cancel()
                message = f"turn {turn} of connection {number}".encode()
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def receive(message: bytes = message) -> None:
                        assert await stream.receive_exactly(len(message)) == message

                    await trio.lowlevel.checkpoint()
                    other.sendall(message)

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(talk, number)
