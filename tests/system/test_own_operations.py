"""A program's own overlapped operations, on sockets that this package receives on."""

from __future__ import annotations

import sys

import pytest
import trio

import trio_wsarecv
from tests.peers import socket_pair

pytestmark = pytest.mark.windows

WSA_IO_PENDING = 997

if sys.platform == "win32":
    import _overlapped  # type: ignore[import-not-found]

    async def send(sock: trio.socket.SocketType, data: bytes, *, skips: bool = False) -> int:
        """Send by an overlapped ``WSASend``, and wait for its packet, if there will be one."""
        operation = _overlapped.Overlapped(0)
        operation.WSASend(sock.fileno(), data, 0)
        if operation.error == WSA_IO_PENDING or not skips:
            await trio.lowlevel.wait_overlapped(sock.fileno(), operation.address)
        nbytes: int = operation.getresult()
        return nbytes

    async def test_they_work_where_the_socket_was_registered_before_its_first_receive() -> None:
        with socket_pair() as (sock, other):
            trio.lowlevel.register_with_iocp(sock.fileno())
            other.sendall(b"question")
            assert await sock.recv(100) == b"question"
            assert sock.engine.startswith("readiness: associated")
            assert await send(sock, b"answer") == 6
            assert other.recv(100) == b"answer"

    async def test_after_a_receive_they_work_without_being_registered() -> None:
        with socket_pair() as (sock, other):
            other.sendall(b"question")
            assert await sock.recv(100) == b"question"
            assert sock.engine == "overlapped"
            with pytest.raises(OSError, match=r".") as refused:
                trio.lowlevel.register_with_iocp(sock.fileno())
            assert refused.value.winerror == 87
            assert await send(sock, b"answer") == 6
            assert other.recv(100) == b"answer"

    async def test_on_a_socket_made_here_those_that_succeed_at_once_have_no_packet() -> None:
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            port = listener.socket.getsockname()[1]
            stream = await trio_wsarecv.open_tcp_stream("127.0.0.1", port)
            async with stream, await listener.accept() as peer:
                await peer.send_all(b"question")
                assert await stream.receive_some() == b"question"
                assert stream.socket.engine == "overlapped"
                for _ in range(3):  # a packet that nobody waits for would end the run
                    assert await send(stream.socket, b"answer", skips=True) == 6
                    assert await peer.receive_exactly(6) == b"answer"
