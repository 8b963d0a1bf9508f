"""A cancelled receive loses no data, whenever it is cancelled."""

from __future__ import annotations

import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, HostilePeer, pattern, socket_pair, stream_pair, wait_until_received
from tests.receiving import call, on_windows
from tests.simulation import Call

Receive = Callable[[trio_wsarecv.SocketStream], Awaitable[bytes]]

TOTAL = 1 << 20  # bytes of one connection
PIECE = 16 << 10
PAUSE = 4  # milliseconds between two pieces, at most
CANCELLED = 10  # receives at least, by as many connections as it takes


async def receive_some(stream: trio_wsarecv.SocketStream) -> bytes:
    return await stream.receive_some()


async def recv(stream: trio_wsarecv.SocketStream) -> bytes:
    return await stream.socket.recv(PIECE)


async def receive_into(stream: trio_wsarecv.SocketStream) -> bytes:
    buffer = bytearray(PIECE)
    return bytes(buffer[: await stream.receive_into(buffer)])


async def receive_exactly(stream: trio_wsarecv.SocketStream) -> bytes:
    return await stream.receive_exactly(9973)  # which divides no size that is sent


async def receive_exactly_into(stream: trio_wsarecv.SocketStream) -> bytes:
    buffer = bytearray(40_000)
    await stream.receive_exactly_into(buffer)
    return bytes(buffer)


async def receive_anyhow(stream: trio_wsarecv.SocketStream) -> bytes:
    return await random.choice(ALL)(stream)


ALL: list[Receive] = [receive_some, recv, receive_into, receive_exactly, receive_exactly_into]


@pytest.mark.deadline(600)
@pytest.mark.parametrize("receive", [*ALL, receive_anyhow])
async def test_random_cancellation_loses_no_byte(peer: HostilePeer, receive: Receive) -> None:
    counted = Counted()
    while counted.cancelled < CANCELLED:
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
        same = bytes(received) == pattern(TOTAL)  # whose difference would be megabytes to print
        assert (len(received), same) == (TOTAL, True)
    assert counted.pended > counted.cancelled
    assert counted.failed == 0
    assert bool(counted.wsarecv_calls) is on_windows


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope just before the given number of task steps."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self.scope = scope
        self.steps_left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            self.scope.cancel()


async def receive_first(stream: trio_wsarecv.SocketStream, other: socket.socket) -> None:
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
                await receive_first(stream, other)
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
@pytest.mark.parametrize("action", ["cancel", "close"])
@pytest.mark.parametrize("name", ["recv_into", "recvfrom_into", "recvmsg_into", "wsarecv"])
async def test_data_that_has_arrived_wins_over_a_cancellation_and_a_close(
    name: str, action: str
) -> None:
    counted = Counted()
    buffer = bytearray(10)
    buffers: Any = buffer if name in ("recv_into", "recvfrom_into") else [buffer]
    with socket_pair() as (sock, other):
        received = []

        async def receive() -> None:
            received.append(await call(sock, name, buffers))
            await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, receive)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            wait_until_received(buffer)
            if action == "cancel":
                receiver.scope.cancel()
            else:
                sock.close()
                assert sock.fileno() == -1
        assert receiver.cancelled == (action == "cancel")  # by the checkpoint behind it
        assert len(received) == 1
        assert buffer == b"data" + bytes(6)
        if action == "close":
            other.settimeout(10)
            assert other.recv(10) == b""
    assert counted.received_despite_cancel == (action == "cancel")
    assert (counted.cancelled, counted.bytes) == (0, 4)


@pytest.mark.skipif(on_windows, reason="there the kernel has already received it")
async def test_off_windows_data_that_has_arrived_is_left_to_the_next_receive() -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, sock.recv, 10)
            await wait_all_tasks_blocked()
            other.sendall(b"data")
            receiver.scope.cancel()
        assert receiver.cancelled
        assert await sock.recv(10) == b"data"


async def test_results_of_many_cancelled_receives_are_never_confused() -> None:
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
                    receiver = Call(nursery, stream.receive_exactly, len(message))
                    await trio.lowlevel.checkpoint()
                    other.sendall(message)
                assert receiver.value == message

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(talk, number)
