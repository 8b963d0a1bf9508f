"""aioquic over a network that loses datagrams and changes their order, and a client that moves."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest
import trio
from aioquic.quic.configuration import QuicConfiguration

import trio_wsarecv

from .content import digest
from .quic import Peer, Relay, udp_socket

if TYPE_CHECKING:
    from .certificates import Certificates

KIB = 1024


@pytest.mark.deadline(250)
@pytest.mark.parametrize(
    ("nbytes", "seed"),
    [(256 * KIB, 1), *(pytest.param(4096 * KIB, n, marks=pytest.mark.slow) for n in range(2, 6))],
)
async def test_quic_gets_through_whatever_becomes_of_datagrams(
    certificates: Certificates, nbytes: int, seed: int
) -> None:
    before = trio_wsarecv.statistics()
    there = QuicConfiguration(is_client=False)
    there.load_cert_chain(certificates.server, certificates.server)
    here = QuicConfiguration(is_client=True, server_name="127.0.0.1")
    here.load_verify_locations(str(certificates.authority))
    server = Peer(udp_socket(), there, nbytes)
    client = Peer(udp_socket(), here, nbytes)
    relay = Relay(server.sock.getsockname(), random.Random(seed))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        nursery.start_soon(relay.run)
        nursery.start_soon(client.run, relay.sock.getsockname())
        await client.complete.wait()
        await server.complete.wait()
        nursery.cancel_scope.cancel()
    for each in (server, client):
        assert each.hash.hexdigest() == digest(nbytes)
        each.sock.close()
    relay.close()
    assert len(server.addresses) == 2  # since the client has moved
    assert relay.lost > 0
    assert relay.overtaken > 0
    after = trio_wsarecv.statistics()
    assert after.datagrams - before.datagrams > after.batches - before.batches > 0
    if sys.platform == "win32":
        assert after.readiness_sockets == before.readiness_sockets
