"""`wsarecv`: flags that go in and come out."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.peers import Counted, socket_pair
from tests.receiving import on_windows
from tests.simulation import Call
from tools.windows import WINE
from trio_wsarecv import MsgFlag, wsarecv

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
PUSH, PARTIAL = MsgFlag.MSG_PUSH_IMMEDIATE, MsgFlag.MSG_PARTIAL


async def test_waiting_for_all_takes_as_many_receives_as_it_needs() -> None:
    buffers = [bytearray(b"...") for _ in range(4)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await wsarecv(sock, buffers, WAITALL) == (12, 0)

            for piece in (b"a", b"bcd", b"efghi", b"jklmno"):
                await wait_all_tasks_blocked()
                other.sendall(piece)
        assert b"".join(buffers) == b"abcdefghijkl"
        other.close()  # and with the end of the stream it takes what there is
        assert await wsarecv(sock, buffers, WAITALL) == (3, 0)
        assert b"".join(buffers) == b"mnodefghijkl"


@pytest.mark.parametrize("pending", [False, True])
async def test_peeking_fills_the_buffers_and_eats_nothing(pending: bool) -> None:
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def peek() -> None:
                buffers = [bytearray(2), bytearray(), bytearray(b"...")]
                assert await wsarecv(sock, buffers, PEEK) == (4, 0)
                assert b"".join(buffers) == b"data."

            if pending:
                await wait_all_tasks_blocked()
            other.sendall(b"data")
        assert await wsarecv(sock, [bytearray(1)], PEEK | PUSH) == (1, 0)
        assert await sock.recv(10) == b"data"


async def test_out_of_band_data_is_received_when_asked_for() -> None:
    with socket_pair() as (sock, other):
        other.sendall(b"data")
        other.send(b"!", socket.MSG_OOB)
        buffers = [bytearray(b"."), bytearray(b".")]
        counted = Counted()
        while True:  # until the urgent byte has come, Linux says EINVAL where Windows waits
            try:
                nbytes, flags = await wsarecv(sock, buffers, OOB)
                break
            except OSError:
                assert not on_windows
        assert (nbytes, b"".join(buffers)) == (1, b"!.")
        assert flags == OOB
        assert counted.bytes == 1
        assert await sock.recv(10) == b"data"


@pytest.mark.windows
async def test_out_of_band_data_is_waited_for_and_loses_nothing_when_cancelled() -> None:
    with socket_pair() as (sock, other):
        if not WINE:  # which may fail to cancel this while ordinary data is there
            other.sendall(b"data")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wsarecv, sock, [bytearray(5)], OOB)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await sock.recv(10)
                scope.cancel()
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                buffer = bytearray(5)
                nbytes, _ = await wsarecv(sock, [buffer], OOB)
                assert nbytes == 1
                assert buffer == b"!" + bytes(4)

            await wait_all_tasks_blocked()
            other.send(b"!", socket.MSG_OOB)
        if WINE:
            other.sendall(b"data")
        assert await sock.recv(10) == b"data"


async def test_asking_for_an_immediate_push_changes_nothing_that_is_received() -> None:
    buffers = [bytearray(b"...") for _ in range(3)]
    with socket_pair() as (sock, other):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await wsarecv(sock, buffers, PUSH) == (4, 0)

            await wait_all_tasks_blocked()
            other.sendall(b"data")
        assert b"".join(buffers) == b"data....."


async def test_a_receive_timeout_of_the_socket_has_no_effect() -> None:
    millisecond: Any = 1 if on_windows else struct.pack("@ll", 0, 1000)
    with socket_pair() as (sock, other):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, millisecond)
        for flags in (0, PEEK, WAITALL):
            async with trio.open_nursery() as nursery:
                call = Call(nursery, wsarecv, sock, [bytearray(4)], flags)
                await trio.sleep(0.02)  # what is to be seen is that nothing happens
                assert not call.done
                other.sendall(b"data")
            assert call.value == (4, 0)
            assert flags != PEEK or await sock.recv(4) == b"data"
