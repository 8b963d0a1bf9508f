"""Sockets for datagrams, and every call that receives one, with the same signature."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

import trio_wsarecv
from trio_wsarecv import MsgFlag, wsarecv

from .peers import receive_when as receive_when
from .peers import when as when
from .receiving import on_windows

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


families = pytest.mark.parametrize(
    "family",
    [
        pytest.param(socket.AF_INET, id="IPv4"),
        pytest.param(
            socket.AF_INET6,
            id="IPv6",
            marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"),
        ),
    ],
)


def bound(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK[family], 0))
    return sock


@contextmanager
def connected_datagrams() -> Iterator[tuple[trio_wsarecv.Socket, socket.socket]]:
    """Give a `Socket`, and a socket of the standard library that is connected to it."""
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as other:
        other.connect(sock.getsockname())
        yield sock, other


class Pair(NamedTuple):
    """A `Socket`, and a socket of the standard library that sends to it."""

    sock: trio_wsarecv.Socket
    sender: socket.socket

    def send(self, data: bytes) -> None:
        self.sender.sendto(data, self.sock.getsockname())


class Received(NamedTuple):
    """What a call has received, in the same form for all calls."""

    data: bytes
    address: Any = None
    truncated: bool = False


CANARY = b"\xca\xfe" * 8


class Buffer:
    """A buffer between canaries, which shows what a call has written and where."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(CANARY + b"." * size + CANARY)
        self.part = memoryview(self.memory)[len(CANARY) : -len(CANARY)]

    def take(self, nbytes: int) -> bytes:
        assert self.memory.startswith(CANARY)
        assert self.memory.endswith(CANARY)
        assert not bytes(self.part[nbytes:]).strip(b".")
        return bytes(self.part[:nbytes])


async def recv(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    return Received(await sock.recv(size, flags))


async def recv_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffer = Buffer(size + 5)
    return Received(buffer.take(await sock.recv_into(buffer.part, size, flags)))


async def recvfrom(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    data, address = await sock.recvfrom(size, flags)
    return Received(data, address)


async def recvfrom_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffer = Buffer(size + 5)
    nbytes, address = await sock.recvfrom_into(buffer.part, size, flags)
    return Received(buffer.take(nbytes), address)


async def recvmsg(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    data, _, flags_out, address = await sock.recvmsg(size, 0, flags)
    return Received(data, address, bool(flags_out & MSG_TRUNC))


class TwoBuffers:
    """Two buffers to be filled in order."""

    def __init__(self, size: int) -> None:
        self.buffers = Buffer(size // 2), Buffer(size - size // 2)
        self.parts = [each.part for each in self.buffers]

    def take(self, nbytes: int) -> bytes:
        one, two = self.buffers
        first = min(nbytes, len(one.part))
        return one.take(first) + two.take(nbytes - first)


async def recvmsg_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    two = TwoBuffers(size)
    nbytes, _, flags_out, address = await sock.recvmsg_into(two.parts, 0, flags)
    return Received(two.take(nbytes), address, bool(flags_out & MSG_TRUNC))


async def recvfrom_many(sock: trio_wsarecv.Socket, size: int) -> Received:
    (datagram,) = await sock.recvfrom_many(1, size)
    return Received(*datagram, datagram.truncated)


async def recvmsg_many(sock: trio_wsarecv.Socket, size: int) -> Received:
    ((data, _, flags, address),) = await sock.recvmsg_many(1, size)
    return Received(data, address, bool(flags & MSG_TRUNC))


async def scatter(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    two = TwoBuffers(size)
    nbytes, flags_out = await wsarecv(sock, two.parts, flags)
    return Received(two.take(nbytes), None, bool(flags_out & MsgFlag.MSG_TRUNC))


# The flag of a truncated datagram: Winsock's value on Windows, elsewhere the system's.
MSG_TRUNC = MsgFlag.MSG_TRUNC if on_windows else socket.MSG_TRUNC
TAKE_FLAGS = [recv, recv_into, recvfrom, recvfrom_into, recvmsg, recvmsg_into, scatter]
METHODS = [*TAKE_FLAGS, recvfrom_many, recvmsg_many]
WITH_ADDRESS = [recvfrom, recvfrom_into, recvmsg, recvmsg_into, recvfrom_many, recvmsg_many]
WITH_FLAGS = [recvmsg, recvmsg_into, scatter, recvfrom_many, recvmsg_many]
WITHOUT_FLAGS = [recv, recv_into, recvfrom, recvfrom_into]
Method = Any
every = pytest.mark.parametrize("receive", METHODS)
