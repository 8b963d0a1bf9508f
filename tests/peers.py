"""The other ends of connections: a hostile peer in a process of its own, and sockets here."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tools.windows import WINE

from .hostile import pattern as pattern
from .simulation import Call

SCRIPT = Path(__file__).with_name("hostile.py")


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the hostile peer with the system's own Python."""
    command = [sys.executable, str(SCRIPT), *arguments]
    if WINE:
        script = PureWindowsPath(SCRIPT).as_posix().removeprefix("Z:")
        command = ["start", "/unix", "/usr/bin/env", "python3", "-I", script, *arguments]
    # With our own standard streams, a reader of those would wait for the end of the peer, too.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class HostilePeer:
    """The process of the hostile peer, and connections to it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._process = start(str(listener.getsockname()[1]))
            listener.settimeout(30)
            self._control, _ = listener.accept()
        with self._control.makefile("rb") as answer:
            self.address = ("127.0.0.1", int(answer.readline()))
        self._names = map(str, itertools.count())

    def close(self) -> None:
        self._control.close()
        self._process.wait()

    @asynccontextmanager
    async def connect(self, *commands: str) -> AsyncIterator[trio_wsarecv.SocketStream]:
        """Connect a stream to the peer, and send it these commands."""
        stream = await trio_wsarecv.open_tcp_stream(*self.address)
        async with stream:
            await self.tell(stream, *commands)
            yield stream

    async def tell(self, stream: trio_wsarecv.SocketStream, *commands: str) -> None:
        await stream.send_all(b"".join(command.encode() + b"\n" for command in commands))

    @asynccontextmanager
    async def connect_watched(self) -> AsyncIterator[tuple[trio_wsarecv.SocketStream, str]]:
        """Connect a stream whose end the peer remembers; also give the name for `result`."""
        name = next(self._names)
        async with self.connect(f"watch {name}") as stream:
            yield stream, name

    async def result(self, name: str) -> str:
        """Return how a watched connection has ended for the peer."""
        async with self.connect(f"result {name}") as stream:
            return b"".join([data async for data in stream]).decode()


@pytest.fixture(scope="session")
def peer() -> Iterator[HostilePeer]:
    """The hostile peer, one process for the whole session."""
    with closing(HostilePeer()) as peer:
        yield peer


@contextmanager
def stdlib_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give two connected TCP sockets of the standard library."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    with one, other:
        yield one, other


@contextmanager
def socket_pair() -> Iterator[tuple[trio_wsarecv.Socket, socket.socket]]:
    """Give a `Socket` and the standard library socket, blocking, that it is connected to."""
    with stdlib_pair() as (one, other), trio_wsarecv.from_stdlib_socket(one) as sock:
        yield sock, other


@contextmanager
def stream_pair() -> Iterator[tuple[trio_wsarecv.SocketStream, socket.socket]]:
    """Give a `SocketStream` and the standard library socket, blocking, that it is connected to."""
    with socket_pair() as (sock, other):
        yield trio_wsarecv.SocketStream(sock), other


when = pytest.mark.parametrize("pending", [False, True], ids=["data waits", "receive waits"])


async def receive_when(
    pending: bool, receive: Callable[[], Awaitable[Any]], send: Callable[[], object]
) -> Any:
    """Return the result of a receive; the data is sent before it, or while it is pending."""
    if not pending:
        send()
        return await receive()
    async with trio.open_nursery() as nursery:
        call = Call(nursery, receive)
        await wait_all_tasks_blocked()
        assert not call.done
        send()
    return call.value


async def push_back(sock: trio_wsarecv.Socket, other: socket.socket, data: bytes) -> None:
    """Cancel an exact receive that has some bytes, so that they are pushed back."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, trio_wsarecv.SocketStream(sock).receive_exactly, len(data) + 1)
        await wait_all_tasks_blocked()
        other.sendall(data)
        await wait_all_tasks_blocked()
        call.scope.cancel()
    assert call.cancelled


class Counted:
    """Has the attributes of `trio_wsarecv.Statistics`, counted since it was created."""

    def __init__(self) -> None:
        self._before = trio_wsarecv.statistics()

    def __getattr__(self, name: str) -> int:
        before, now = (getattr(each, name) for each in (self._before, trio_wsarecv.statistics()))
        return int(now - before)
