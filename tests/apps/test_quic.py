"""aioquic's sans-I/O core over a network that loses datagrams and changes their order."""

from __future__ import annotations

import random
import socket
import sys
from math import inf
from typing import Any

import pytest
import trio
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

import trio_wsarecv
from tests.datagrams import bound
from tests.peers import Counted

from .application import pieces
from .certificates import Certificates

KIB = 1024
MAX_BATCH, MAX_PACKET = 64, 2048
STREAM = 0
GRANULARITY = 0.001  # seconds
LOST, OVERTAKEN = 0.03, 0.1  # of all datagrams, how many


def udp_socket() -> trio_wsarecv.Socket:
    sock = bound()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return trio_wsarecv.from_stdlib_socket(sock)


class Peer:
    """One end of a connection; each sends the same content to the other.

    A client moves to another address in the middle.  Some datagrams are lost, and others come after
    later ones.
    """

    def __init__(self, configuration: QuicConfiguration, content: bytes, seed: int) -> None:
        self.sock = udp_socket()
        self.received = bytearray()
        self.complete = trio.Event()
        self.addresses: set[Any] = set()  # where datagrams came from
        self.lost = self.overtaken = 0  # datagrams
        self._configuration = configuration
        self._random = random.Random(seed)
        self._content = content
        self._has_begun = False
        self._connection: QuicConnection | None = None
        self._moves_at = len(content) // 2 if configuration.is_client else inf

    async def run(self, server: Any = None) -> None:
        """Talk to the other side until cancelled; a client connects to a server."""
        if server is not None:
            self._connection = QuicConnection(configuration=self._configuration)
            self._connection.connect(server, trio.current_time())
            await self._flush(self._connection)
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
            if len(self.received) >= self._moves_at:
                self._moves_at = inf
                self._connection.change_connection_id()
                self.sock.close()
                self.sock = udp_socket()
            await self._flush(self._connection)

    async def _flush(self, connection: QuicConnection) -> None:
        await self.sock.sendto_many(connection.datagrams_to_send(trio.current_time()))

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
        # The client opens the stream, and the server answers on it.
        is_client = self._configuration.is_client
        first = events.HandshakeCompleted if is_client else events.StreamDataReceived
        while event := connection.next_event():
            if isinstance(event, first) and not self._has_begun:
                self._has_begun = True
                connection.send_stream_data(STREAM, self._content, end_stream=True)
            if isinstance(event, events.StreamDataReceived):
                self.received += event.data
                if event.end_stream:
                    self.complete.set()


@pytest.mark.deadline(55)
@pytest.mark.parametrize(
    ("nbytes", "seed"),
    [(256 * KIB, 1), *(pytest.param(4096 * KIB, n, marks=pytest.mark.slow) for n in range(2, 6))],
)
async def test_quic_delivers_all_data_whatever_happens_to_its_datagrams(
    certificates: Certificates, nbytes: int, seed: int
) -> None:
    counted = Counted()
    there = QuicConfiguration(is_client=False)
    there.load_cert_chain(certificates.server, certificates.server)
    here = QuicConfiguration(is_client=True, server_name="127.0.0.1")
    here.load_verify_locations(str(certificates.authority))
    content = b"".join(pieces(nbytes))
    server, client = Peer(there, content, seed), Peer(here, content, seed + 100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        nursery.start_soon(client.run, server.sock.getsockname())
        await client.complete.wait()
        await server.complete.wait()
        nursery.cancel_scope.cancel()
    for each in (server, client):
        assert each.received == content
        assert each.lost > 0
        assert each.overtaken > 0
        each.sock.close()
    assert len(server.addresses) == 2  # since the client has moved
    assert counted.datagrams > counted.batches > 0
    if sys.platform == "win32":
        assert counted.readiness_sockets == 0
