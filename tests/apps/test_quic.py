"""aioquic over a network that loses datagrams and changes their order, and a client that moves."""

from __future__ import annotations

import sys

import pytest
import trio
from aioquic.quic.configuration import QuicConfiguration

from tests.peers import Counted

from .certificates import Certificates
from .content import digest
from .quic import Peer

KIB = 1024


@pytest.mark.deadline(250)
@pytest.mark.parametrize(
    ("nbytes", "seed"),
    [(256 * KIB, 1), *(pytest.param(4096 * KIB, n, marks=pytest.mark.slow) for n in range(2, 6))],
)
async def test_quic_gets_through_whatever_becomes_of_datagrams(
    certificates: Certificates, nbytes: int, seed: int
) -> None:
    counted = Counted()
    there = QuicConfiguration(is_client=False)
    there.load_cert_chain(certificates.server, certificates.server)
    here = QuicConfiguration(is_client=True, server_name="127.0.0.1")
    here.load_verify_locations(str(certificates.authority))
    server, client = Peer(there, nbytes, seed), Peer(here, nbytes, seed + 100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        nursery.start_soon(client.run, server.sock.getsockname())
        await client.complete.wait()
        await server.complete.wait()
        nursery.cancel_scope.cancel()
    for each in (server, client):
        assert each.hash.hexdigest() == digest(nbytes)
        assert each.lost > 0
        assert each.overtaken > 0
        each.sock.close()
    assert len(server.addresses) == 2  # since the client has moved
    assert counted.datagrams > counted.batches > 0
    if sys.platform == "win32":
        assert counted.readiness_sockets == 0
