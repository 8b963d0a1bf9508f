"""A cancelled receive loses no data, whenever it is cancelled."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.peers import Counted, HostilePeer, pattern, socket_pair
from tests.receiving import on_windows
from tests.simulation import Call
from trio_wsarecv import SocketStream

TOTAL = 1 << 20  # bytes of one connection
PIECE = 16 << 10
PAUSE = 4  # milliseconds between two pieces, at most
CANCELLED = 30  # receives at least, by as many connections as it takes


async def receive_into(stream: SocketStream) -> bytes:
    buffer = bytearray(PIECE)
    return bytes(buffer[: await stream.receive_into(buffer)])


async def receive_exactly_into(stream: SocketStream) -> bytes:
    buffer = bytearray(40_000)
    await stream.receive_exactly_into(buffer)
    return bytes(buffer)


RECEIVES: list[Callable[[SocketStream], Awaitable[bytes]]] = [
    lambda stream: stream.receive_some(),
    lambda stream: stream.socket.recv(PIECE),
    lambda stream: stream.receive_exactly(9973),  # which divides no size that is sent
    receive_into,
    receive_exactly_into,
]


@pytest.mark.deadline(600)
async def test_random_cancellation_loses_no_byte(peer: HostilePeer) -> None:
    counted = Counted()
    while counted.cancelled < CANCELLED:
        received = bytearray()
        async with peer.connect(f"drip {TOTAL} {PIECE} {PAUSE}", "fin") as stream:
            while True:
                data = b""
                with trio.move_on_after(random.uniform(0, 0.002)) as scope:
                    try:
                        data = await random.choice(RECEIVES)(stream)
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


def wait_until_received(buffer: bytearray) -> None:
    """Wait until the kernel has written to a buffer of zeros; Trio has not seen the packet yet."""
    while not any(buffer):
        time.sleep(0.001)


@pytest.mark.windows
@pytest.mark.parametrize("action", ["cancel", "close"])
async def test_data_that_has_arrived_wins_over_a_cancellation_and_a_close(action: str) -> None:
    counted = Counted()
    buffer = bytearray(10)
    with socket_pair() as (sock, other):
        received = []

        async def receive() -> None:
            received.append(await sock.recv_into(buffer))
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
        assert received == [4]
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
