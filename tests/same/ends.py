"""The two ends of a program's sockets: the one under test, and its peer."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import trio
import trustme

from tests.hostile import RESET_ON_CLOSE

from .outcome import WHOLE, account_for, of_data
from .program import DATAGRAMS, SENDERS, TLS

ADDRESS = ("127.0.0.1", 0)
PATTERN = random.Random(0).randbytes(1 << 20)


def pattern(start: int, nbytes: int) -> bytes:
    """Return random bytes that depend on the place."""
    return PATTERN[start : start + nbytes]


class LocalPeer:
    """A peer in this process."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(5)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def finish(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection; from a Wine process this may arrive as an end of the stream."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._sock.close()

    def received(self) -> bytes:
        """Return what has arrived by now."""
        data = b""
        with suppress(OSError):
            self._sock.setblocking(False)
            while part := self._sock.recv(65536):
                data += part
        return data

    def close(self) -> None:
        self._sock.close()


class TlsPeer(LocalPeer):
    """A TLS peer in this process."""

    _early = b""

    def shake_hands(self) -> None:
        self._sock = contexts()[0].wrap_socket(self._sock, server_side=True)

    def finish(self) -> None:
        self._early = self.received()  # before `unwrap`, which expects only the end of the stream
        with suppress(ssl.SSLWantReadError):  # the other side has not answered
            self._sock.unwrap()  # type: ignore[attr-defined]

    def received(self) -> bytes:
        return self._early + super().received()


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of its client."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.num_tickets = 0  # they would arrive before any data
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return server, client


class Senders:
    """The peers of a socket for datagrams."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(SENDERS)]
        for sock in self._sockets:
            sock.bind(ADDRESS)
        self._address = address
        self.addresses = [sock.getsockname() for sock in self._sockets]

    def send(self, data: bytes, sender: int = 0) -> None:
        self._sockets[sender].sendto(data, self._address)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


class End:
    """A socket under test, with its peer and with what has been sent and received."""

    sock: trio.socket.SocketType
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]
    peer: Any
    senders: Senders

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.sent = 0  # by the peer: bytes, or datagrams
        self.chunks: list[tuple[int, bytes]] = []  # what was received, and in which bursts
        self.touched = False  # whether a part of what was sent may be lost
        self.finished = False
        self.taken = 0  # how many receives got something
        self.receiving = 0  # tasks
        self.own: list[bytes] = []  # what was sent to the peer

    async def open(self, connect_hostile: Callable[[], tuple[socket.socket, Any]]) -> None:
        if self.kind == DATAGRAMS:
            self.sock = trio.socket.socket(type=socket.SOCK_DGRAM)
            await self.sock.bind(ADDRESS)
            self.senders = Senders(self.sock.getsockname())
            return
        if self.kind == "made":
            with socket.create_server(ADDRESS) as listener:
                sock = trio.socket.socket()
                await sock.connect(listener.getsockname())
                self.peer = LocalPeer(listener.accept()[0])
        elif self.kind == "pair":
            sock, far = trio.socket.socketpair()
            self.peer = LocalPeer(socket.socket(fileno=far.detach()))
        elif self.kind == "hostile":
            one, self.peer = connect_hostile()
            sock = trio.socket.from_stdlib_socket(one)
        else:
            one, other = socket.socketpair()
            sock = trio.socket.from_stdlib_socket(one)
            self.peer = TlsPeer(other) if self.kind == TLS else LocalPeer(other)
        self.replace(sock)
        if self.kind == TLS:
            stream = trio.SocketStream(sock)
            self.stream = trio.SSLStream(stream, contexts()[1], server_hostname="localhost")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.stream.do_handshake)
                await trio.to_thread.run_sync(self.peer.shake_hands)

    def replace(self, sock: trio.socket.SocketType) -> None:
        self.sock = sock
        self.stream = trio.SocketStream(sock)

    def next_bytes(self, nbytes: int) -> bytes:
        """Return what the peer sends next; a datagram begins with its number."""
        if self.kind == DATAGRAMS:
            self.sent += 1
            return b"%03d:" % self.sent + pattern(self.sent, nbytes)
        self.sent += nbytes
        return pattern(self.sent - nbytes, nbytes)

    async def receive(self, call: str, size: int, flags: int) -> bytes | str:
        """Receive; a datagram with its sender is described in words."""
        if call == "receive_some":
            return bytes(await self.stream.receive_some(size))
        buffer, method = bytearray(size), getattr(self.sock, call)
        into = call.endswith("_into")
        result = await (method(buffer, 0, flags) if into else method(size, flags))
        data, *sender = result if isinstance(result, tuple) else (result,)
        data = bytes(buffer[:data]) if into else data
        if not sender or self.kind != DATAGRAMS:
            return bytes(data)
        return f"{of_data(data)} from {self.senders.addresses.index(sender[0])}"

    def take(self, burst: int, result: bytes | str) -> None:
        self.taken += 1
        if isinstance(result, bytes):
            self.chunks.append((burst, result))

    def account(self, *, to_the_end: bool) -> str:
        """Report whether what was received, and what the peer got, is complete and in order."""
        if self.kind == DATAGRAMS:
            complete = self.taken == self.sent or (self.taken < self.sent and not to_the_end)
            return WHOLE if complete else f"{self.taken} of {self.sent} datagrams"
        answer = account_for(self.chunks, pattern(0, self.sent), to_the_end=to_the_end)
        own = b"".join(self.own)
        if own and (got := self.peer.received()) != own:
            answer += f", and the peer got {len(got)} of {len(own)} bytes"
        return answer

    def close(self) -> None:
        self.sock.close()
        if self.kind == DATAGRAMS:
            self.senders.close()
        else:
            self.peer.close()
