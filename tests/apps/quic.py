"""aioquic's core, which does no I/O, on sockets of this package; and a bad network between two."""

from __future__ import annotations

import hashlib
import socket
from math import inf
from typing import TYPE_CHECKING, Any

import trio
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic import events
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

import trio_wsarecv

from .content import pieces

if TYPE_CHECKING:
    import random

    from aioquic.quic.configuration import QuicConfiguration

MAX_BATCH, MAX_PACKET = 64, 2048
STREAM = 0
GRANULARITY = 0.001  # seconds
LOST, OVERTAKEN = 0.03, 0.1  # of all datagrams, how many

Address = Any


def udp_socket() -> trio_wsarecv.Socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", 0))
    return trio_wsarecv.from_stdlib_socket(sock)


class Peer:
    """One end of a connection, which sends so many bytes while it receives those of the other.

    Attributes:
      hash: of the bytes received so far.
      complete: set when all have been received.
      addresses: where they came from.
    """

    def __init__(
        self, sock: trio_wsarecv.Socket, configuration: QuicConfiguration, nbytes: int
    ) -> None:
        self.sock = sock
        self.hash = hashlib.sha256()
        self.complete = trio.Event()
        self.addresses: dict[Address, None] = {}
        self._configuration = configuration
        self._nbytes = nbytes
        self._received = 0
        self._is_client = configuration.is_client
        self._has_begun = False
        self._connection: QuicConnection | None = None
        self._migrates_at = nbytes // 2 if self._is_client else inf

    async def run(self, server: Address = None) -> None:
        """Talk to the other side until cancelled; a client connects to a server."""
        if server is not None:
            self._connection = QuicConnection(configuration=self._configuration)
            self._connection.connect(server, trio.current_time())
            await self._flush()
        while True:
            batch: list[trio_wsarecv.Datagram] = []
            timer = self._connection.get_timer() if self._connection else None
            # A receive that the timer cancels has taken nothing.  A timer may stay due until
            # something has been received, so there is some time for that.
            soon = trio.current_time() + GRANULARITY
            with trio.CancelScope(deadline=inf if timer is None else max(timer, soon)):
                batch = await self.sock.recvfrom_many(MAX_BATCH, MAX_PACKET)
            now = trio.current_time()
            for data, address in batch:
                self.addresses[address] = None
                self._connection = self._connection or self._accept(data)
                self._connection.receive_datagram(data, address, now)
            assert self._connection is not None
            if timer is not None and timer <= now:
                self._connection.handle_timer(now)
            self._take_events(self._connection)
            if self._received >= self._migrates_at:
                self._migrates_at = inf
                self._connection.change_connection_id()
                self.sock.close()
                self.sock = udp_socket()
            await self._flush()

    async def _flush(self) -> None:
        assert self._connection is not None
        await self.sock.sendto_many(self._connection.datagrams_to_send(trio.current_time()))

    def _accept(self, data: bytes) -> QuicConnection:
        header = pull_quic_header(Buffer(data=data), host_cid_length=8)
        return QuicConnection(
            configuration=self._configuration,
            original_destination_connection_id=header.destination_cid,
        )

    def _take_events(self, connection: QuicConnection) -> None:
        while event := connection.next_event():
            # The client opens the stream, and the server answers on it.
            first = events.HandshakeCompleted if self._is_client else events.StreamDataReceived
            if isinstance(event, first) and not self._has_begun:
                self._has_begun = True
                for piece in pieces(self._nbytes):
                    connection.send_stream_data(STREAM, piece)
                connection.send_stream_data(STREAM, b"", end_stream=True)
            if isinstance(event, events.StreamDataReceived):
                self._received += len(event.data)
                self.hash.update(event.data)
                if event.end_stream:
                    self.complete.set()


class Relay:
    """Passes datagrams on between clients and a server, but not all of them, nor all in order.

    Each client has a socket of its own towards the server, as behind a router.

    Attributes:
      sock: where clients send to.
      lost: how many datagrams were dropped.
      overtaken: how many came behind later ones.
    """

    def __init__(self, server: Address, random: random.Random) -> None:
        self.sock = udp_socket()
        self.lost = self.overtaken = 0
        self._server = server
        self._random = random
        self._towards_server: dict[Address, trio_wsarecv.Socket] = {}

    async def run(self) -> None:
        """Pass on until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                batch = self._spoil(await self.sock.recvfrom_many(MAX_BATCH, MAX_PACKET))
                for data, client in batch:
                    if client not in self._towards_server:
                        self._towards_server[client] = udp_socket()
                        nursery.start_soon(self._answer, client)
                    await self._towards_server[client].sendto_many([(data, self._server)])

    async def _answer(self, client: Address) -> None:
        sock = self._towards_server[client]
        while True:
            batch = self._spoil(await sock.recvfrom_many(MAX_BATCH, MAX_PACKET))
            await self.sock.sendto_many([(data, client) for data, _ in batch])

    def _spoil(self, batch: list[trio_wsarecv.Datagram]) -> list[trio_wsarecv.Datagram]:
        kept = [each for each in batch if self._random.random() >= LOST]
        self.lost += len(batch) - len(kept)
        for index in range(len(kept) - 1):
            if self._random.random() < OVERTAKEN:
                kept[index : index + 2] = reversed(kept[index : index + 2])
                self.overtaken += 1
        return kept

    def close(self) -> None:
        for sock in (self.sock, *self._towards_server.values()):
            sock.close()
