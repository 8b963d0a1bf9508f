"""aioquic's sans-I/O core on sockets of this package, over a bad network."""

from __future__ import annotations

import hashlib
import random
import socket
from math import inf
from typing import Any

import trio
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

import trio_wsarecv

from .content import pieces

MAX_BATCH, MAX_PACKET = 64, 2048
STREAM = 0
GRANULARITY = 0.001  # seconds
LOST, OVERTAKEN = 0.03, 0.1  # of all datagrams, how many


def udp_socket() -> trio_wsarecv.Socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", 0))
    return trio_wsarecv.from_stdlib_socket(sock)


class Peer:
    """One end of a connection, which sends and receives so many bytes.

    A client moves to another address in the middle.  Some datagrams are lost, and others come after
    later ones.

    Attributes:
      hash: of the bytes received so far.
      complete: set when all have been received.
      addresses: where they came from.
      lost: how many datagrams were dropped.
      overtaken: how many came behind later ones.
    """

    def __init__(self, configuration: QuicConfiguration, nbytes: int, seed: int) -> None:
        self.sock = udp_socket()
        self.hash = hashlib.sha256()
        self.complete = trio.Event()
        self.addresses: set[Any] = set()
        self.lost = self.overtaken = 0
        self._configuration = configuration
        self._random = random.Random(seed)
        self._nbytes = nbytes
        self._received = 0
        self._is_client = configuration.is_client
        self._has_begun = False
        self._connection: QuicConnection | None = None
        self._moves_at = nbytes // 2 if self._is_client else inf

    async def run(self, server: Any = None) -> None:
        """Talk to the other side until cancelled; a client connects to a server."""
        if server is not None:
            self._connection = QuicConnection(configuration=self._configuration)
            self._connection.connect(server, trio.current_time())
            await self._flush()
        while True:
            batch: list[trio_wsarecv.Datagram] = []
            timer = self._connection.get_timer() if self._connection else None
            # A receive that the timer cancels has taken nothing.  A timer may stay due until
            # something has been received, so the receive gets some time.
            soon = trio.current_time() + GRANULARITY
            with trio.CancelScope(deadline=inf if timer is None else max(timer, soon)):
                batch = await self.sock.recvfrom_many(MAX_BATCH, MAX_PACKET)
            now = trio.current_time()
            for data, address in self._spoiled(batch):
                self.addresses.add(address)
                self._connection = self._connection or self._accept(data)
                self._connection.receive_datagram(data, address, now)
            if self._connection is None:
                continue  # the first datagram was dropped
            if timer is not None and timer <= now:
                self._connection.handle_timer(now)
            self._take_events(self._connection)
            if self._received >= self._moves_at:
                self._moves_at = inf
                self._connection.change_connection_id()
                self.sock.close()
                self.sock = udp_socket()
            await self._flush()

    async def _flush(self) -> None:
        assert self._connection is not None
        await self.sock.sendto_many(self._connection.datagrams_to_send(trio.current_time()))

    def _spoiled(self, batch: list[trio_wsarecv.Datagram]) -> list[trio_wsarecv.Datagram]:
        kept = [each for each in batch if self._random.random() >= LOST]
        self.lost += len(batch) - len(kept)
        for index in range(len(kept) - 1):
            if self._random.random() < OVERTAKEN:
                kept[index : index + 2] = reversed(kept[index : index + 2])
                self.overtaken += 1
        return kept

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
