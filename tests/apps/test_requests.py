"""httpx here and Hypercorn in its own process: many, large, and abandoned requests."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import httpx
import pytest
import trio

import trio_wsarecv
from tests.peers import HostilePeer

from .conftest import Connect
from .content import digest, pieces
from .servers import Server, check_received, on_windows

MIB = 1 << 20
LARGE = 64 * MIB
LARGE_IN_FRAMES = 16 * MIB  # HTTP/2 is slower: flow control every few kilobytes
REQUESTS = 300
WIDE = 4096


@pytest.fixture
def large(way: str) -> int:
    """How many bytes are many with this protocol."""
    return LARGE_IN_FRAMES if way == "http2" else LARGE


def received_here() -> dict[str, int]:
    return asdict(trio_wsarecv.statistics())


async def ask(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    response = await client.get(path)
    response.raise_for_status()
    facts: dict[str, Any] = response.json()
    return facts


async def body(nbytes: int) -> AsyncIterator[bytes]:
    for piece in pieces(nbytes):
        yield piece


@pytest.mark.deadline(55)
async def test_a_large_upload_arrives(client: httpx.AsyncClient, large: int) -> None:
    before = (await ask(client, "/begun"))["statistics"]
    facts = (await client.post("/upload", content=body(large))).json()
    assert (facts["bytes"], facts["sha256"]) == (large, digest(large))
    check_received(before, facts["statistics"], large)


@pytest.mark.deadline(55)
async def test_a_large_download_arrives(client: httpx.AsyncClient, large: int) -> None:
    before = received_here()
    hash_ = hashlib.sha256()
    nbytes = 0
    async with client.stream("GET", f"/download?{large}") as response:
        async for piece in response.aiter_raw():
            hash_.update(piece)
            nbytes += len(piece)
    assert (nbytes, hash_.hexdigest()) == (large, digest(large))
    check_received(before, received_here(), large)


async def test_hundreds_of_requests_at_once_get_their_own_answers(
    client: httpx.AsyncClient,
) -> None:
    here, there = received_here(), (await ask(client, "/begun"))["statistics"]

    async def post(number: int) -> None:
        data = b"%d" % number * WIDE
        facts = (await client.post("/upload", content=data)).json()
        assert (facts["bytes"], facts["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())

    async with trio.open_nursery() as nursery:
        for number in range(REQUESTS):
            nursery.start_soon(post, number)
    check_received(there, (await ask(client, "/begun"))["statistics"], REQUESTS * WIDE)
    check_received(here, received_here(), REQUESTS * len('{"bytes": }'))


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize(
    ("request_line", "then"),
    [("POST /upload", f"send {MIB}"), (f"GET /download?{LARGE}", f"hear {MIB}")],
)
async def test_a_client_that_goes_away_in_mid_body_is_noticed(
    server: Server, connect: Connect, peer: HostilePeer, request_line: str, then: str, how: str
) -> None:
    head = [f"say {request_line} HTTP/1.1", "say Host: here", f"say Content-Length: {LARGE}", "say"]
    if request_line.startswith("GET"):
        del head[2]
    url = server.urls["http"]
    async with connect(url) as client:
        requests = len((await ask(client, "/begun"))["begun"])
        before = await ask(client, "/gone")
        known = len(before["gone"])
        async with peer.connect(f"dial {httpx.URL(url).port}", *head, then) as stream:
            await ask(client, f"/begun?{requests + 1}")
            await peer.tell(stream, how)
            after = await ask(client, f"/gone?{known + 1}")
    assert after["gone"][known:] == [request_line.split()[1].partition("?")[0]]
    check_received(before["statistics"], after["statistics"], 0, failures=1)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_request_that_runs_out_of_time_is_given_up(
    server: Server, connect: Connect, scheme: str
) -> None:
    async with connect(server.urls[scheme]) as client:
        known = len((await ask(client, "/gone"))["gone"])
        before = received_here()
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/wait", timeout=httpx.Timeout(30, read=0.05))
        assert received_here()["cancelled"] - before["cancelled"] == on_windows
        assert (await ask(client, f"/gone?{known + 1}"))["gone"][known:] == ["/wait"]
