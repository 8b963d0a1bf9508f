"""Whatever is done during a receive, it ends as documented, harms nothing and loses no data."""

from __future__ import annotations

import gc
import random
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress

import outcome
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from tests.datagrams import connected_datagrams
from tests.peers import Counted, HostilePeer, pattern, receive_when, socket_pair
from tests.receiving import STREAM_RECEIVES, on_windows, winerror
from tests.simulation import Call
from tools.windows import WINE
from trio_wsarecv import IncompleteReceiveError, MsgFlag, Socket, SocketStream, wsarecv

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


@pytest.mark.deadline(55)
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
                    except IncompleteReceiveError as exc:
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


# Closing and shutting down.

Close = Callable[[SocketStream], Awaitable[object]]


async def close_socket(stream: SocketStream) -> None:
    stream.socket.close()


async def leave_block(stream: SocketStream) -> None:
    with pytest.raises(ZeroDivisionError), stream.socket:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("receive", "close"),
    [
        *((name, close_socket) for name in STREAM_RECEIVES),
        ("recv", SocketStream.aclose),
        ("recv", trio.aclose_forcefully),
        ("recv", leave_block),
    ],
)
async def test_closing_ends_a_receive_and_the_connection_cleanly(
    peer: HostilePeer, receive: str, close: Close
) -> None:
    async with peer.connect_watched() as (stream, name):
        async with trio.open_nursery() as nursery:
            receiver = Call(nursery, STREAM_RECEIVES[receive], stream.socket)
            await wait_all_tasks_blocked()
            await close(stream)
            assert stream.socket.fileno() == -1
            with pytest.raises(OSError, match=r"."):
                await stream.socket.send(b"too late")
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"too late")
            for nothing in (stream.receive_exactly(0), stream.receive_into(bytearray())):
                with assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
                    await nothing
        assert isinstance(receiver.error, trio.ClosedResourceError)
        assert "closed" in repr(stream.socket)
        # Without a closed handle the peer would wait for ever.
        assert await peer.result(name) == "0 bytes, then the end"


async def test_closing_ends_a_receive_although_a_duplicate_is_open(peer: HostilePeer) -> None:
    # Then closing the handle alone would end nothing.
    async with peer.connect_watched() as (stream, name):
        with stream.socket.dup() as duplicate:
            async with trio.open_nursery() as nursery:
                receiver = Call(nursery, stream.receive_some)
                await wait_all_tasks_blocked()
                stream.socket.dup().close()
                await wait_all_tasks_blocked()
                assert not receiver.done
                stream.socket.close()
            assert isinstance(receiver.error, trio.ClosedResourceError)
            assert await duplicate.send(b"more") == 4  # the connection is still open
        assert await peer.result(name) == "4 bytes, then the end"


async def test_shutting_the_receiving_side_down_ends_a_receive() -> None:
    with socket_pair() as (sock, _):
        result = await receive_when(
            True,
            lambda: outcome.acapture(sock.recv, 10),
            lambda: sock.shutdown(socket.SHUT_RD),
        )
        if on_windows:
            assert winerror(result.error) == 10058
        else:
            assert result.unwrap() == b""


# Anything.

FILL = b"\xee" * 32  # the peer sends no such byte
OVERLAPPING = ["recvmsg_into", "wsarecv", "MSG_WAITALL"]


async def receive_by(how: str, sock: Socket, buffer: bytearray) -> int:
    """Receive into a buffer of 32 bytes, or into two parts of it that overlap."""
    if how == "recv_into":
        return int(await sock.recv_into(buffer, 20))
    with memoryview(buffer) as view, view[:12] as part, view[:8] as one, view[4:] as two:
        if how == "receive_exactly_into":
            await SocketStream(sock).receive_exactly_into(part)
            return 12
        if how == "recvmsg_into":
            return int((await sock.recvmsg_into([one, two]))[0])
        flags = MsgFlag.MSG_WAITALL if how == "MSG_WAITALL" else 0
        return (await wsarecv(sock, [one, two], flags)).nbytes


def filled(how: str, data: bytes) -> bytes:
    """Return what the buffer begins with: what is written last is there in the end."""
    if how in OVERLAPPING and len(data) > 8:
        return data[:4] + data[8:] + data[4:8][len(data) - 8 :]
    return data


DOCUMENTED = (
    OSError,
    ValueError,
    IncompleteReceiveError,
    trio.BrokenResourceError,
    trio.BusyResourceError,
    trio.ClosedResourceError,
)
ACTIONS = ["send", "cancel", "close", "shut down", "resize", "collect", "receive", "wait", "end"]


@pytest.mark.deadline(55)
@settings(max_examples=100 if WINE else 300, suppress_health_check=[HealthCheck.too_slow])
@given(
    how=st.sampled_from(["recv_into", "receive_exactly_into", *OVERLAPPING]),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=6),
    streams=st.booleans(),
)
async def test_nothing_done_during_a_receive_does_harm(
    how: str, actions: list[str], streams: bool
) -> None:
    streams = streams or how in ("receive_exactly_into", "MSG_WAITALL")
    buffer = bytearray(FILL)
    sent = b""
    with socket_pair() if streams else connected_datagrams() as (sock, other):
        async with trio.open_nursery() as nursery:
            receive = Call(nursery, receive_by, how, sock, buffer)
            others: list[Call] = []
            await wait_all_tasks_blocked()
            for action in actions:
                if action == "send" and not (sent and not streams):
                    data = bytes(range(len(sent), len(sent) + 6))
                    with suppress(OSError):  # the socket may be closed
                        other.send(data)
                        sent += data
                elif action == "cancel":
                    receive.scope.cancel()
                elif action == "close":
                    sock.close()
                elif action == "shut down" and sock.fileno() != -1 and streams:
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RD)
                elif action == "resize":
                    with nullcontext() if receive.done else suppress(BufferError):
                        buffer.append(0)
                        buffer.pop()
                elif action == "collect":
                    gc.collect(1)
                elif action == "receive":
                    others.append(Call(nursery, sock.recv, 0))
                    others.append(Call(nursery, receive_by, how, sock, bytearray(FILL)))
                elif action == "wait":
                    await wait_all_tasks_blocked()
                elif action == "end" and streams:
                    other.close()
                    break
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        for each in (receive, *others):
            if not each.succeeded and not each.cancelled:
                assert isinstance(each.error, DOCUMENTED), repr(each.error)
        if receive.succeeded:
            received = filled(how, sent[: receive.value])
            assert buffer[: len(received)] == received
            assert buffer[receive.value :] == FILL[receive.value :]
        elif isinstance(receive.error, IncompleteReceiveError):
            assert sent.startswith(receive.error.partial)
        buffer.append(0)
