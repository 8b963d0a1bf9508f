"""Sockets for datagrams, and every call that receives one, with the same signature."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

import trio_wsarecv
from trio_wsarecv import MsgFlag, wsarecv

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


class Pair(NamedTuple):
    """A `Socket`, and a socket of the standard library that is connected to it."""

    sock: trio_wsarecv.Socket
    sender: socket.socket

    def send(self, data: bytes) -> None:
        self.sender.send(data)


@contextmanager
def connected_datagrams() -> Iterator[Pair]:
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as sender:
        sender.connect(sock.getsockname())
        yield Pair(sock, sender)


class Received(NamedTuple):
    """What a call has received, in the same form for all calls."""

    data: bytes
    address: Any = None
    truncated: bool = False


CANARY = b"\xca\xfe" * 8


class Buffers:
    """Buffers to be filled in order, between canaries that show what a call writes, and where."""

    def __init__(self, *sizes: int) -> None:
        self._memory = [bytearray(CANARY + b"." * size + CANARY) for size in sizes]
        self.parts = [memoryview(each)[len(CANARY) : -len(CANARY)] for each in self._memory]

    def take(self, nbytes: int) -> bytes:
        for memory in self._memory:
            assert memory.startswith(CANARY)
            assert memory.endswith(CANARY)
        data = b"".join(self.parts)
        assert not data[nbytes:].strip(b".")
        return data[:nbytes]


async def recv(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    return Received(await sock.recv(size, flags))


async def recv_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffers = Buffers(size + 5)
    return Received(buffers.take(await sock.recv_into(buffers.parts[0], size, flags)))


async def recvfrom(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    data, address = await sock.recvfrom(size, flags)
    return Received(data, address)


async def recvfrom_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffers = Buffers(size + 5)
    nbytes, address = await sock.recvfrom_into(buffers.parts[0], size, flags)
    return Received(buffers.take(nbytes), address)


async def recvmsg(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    data, _, flags_out, address = await sock.recvmsg(size, 0, flags)
    return Received(data, address, bool(flags_out & MSG_TRUNC))


async def recvmsg_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffers = Buffers(size // 2, size - size // 2)
    nbytes, _, flags_out, address = await sock.recvmsg_into(buffers.parts, 0, flags)
    return Received(buffers.take(nbytes), address, bool(flags_out & MSG_TRUNC))


async def recvfrom_many(sock: trio_wsarecv.Socket, size: int) -> Received:
    (datagram,) = await sock.recvfrom_many(1, size)
    return Received(*datagram, datagram.truncated)


async def recvmsg_many(sock: trio_wsarecv.Socket, size: int) -> Received:
    ((data, _, flags, address),) = await sock.recvmsg_many(1, size)
    return Received(data, address, bool(flags & MSG_TRUNC))


async def scatter(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffers = Buffers(size // 2, size - size // 2)
    nbytes, flags_out = await wsarecv(sock, buffers.parts, flags)
    return Received(buffers.take(nbytes), None, bool(flags_out & MsgFlag.MSG_TRUNC))


# The flag of a truncated datagram: Winsock's value on Windows, elsewhere the system's.
MSG_TRUNC = MsgFlag.MSG_TRUNC if on_windows else socket.MSG_TRUNC
TAKE_FLAGS = [recv, recv_into, recvfrom, recvfrom_into, recvmsg, recvmsg_into, scatter]
METHODS = [*TAKE_FLAGS, recvfrom_many, recvmsg_many]
WITH_ADDRESS = [recvfrom, recvfrom_into, recvmsg, recvmsg_into, recvfrom_many, recvmsg_many]
WITHOUT_FLAGS = [recv, recv_into, recvfrom, recvfrom_into]
Method = Any
every = pytest.mark.parametrize("receive", METHODS)
