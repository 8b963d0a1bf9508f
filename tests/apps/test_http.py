"""httpx here, and Hypercorn or anycorn in a process of its own."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import httpx
import pytest
import trio

import trio_wsarecv
from tests.peers import HostilePeer

from .application import PIECE, digest, pieces
from .certificates import Certificates
from .servers import Server, check_received, connect, on_windows, serving

MIB = 1 << 20
LARGE = 64 * MIB
LARGE_IN_FRAMES = 16 * MIB  # HTTP/2 is slower: flow control every few kilobytes
REQUESTS = 300
WIDE = 4096
UPLOADS = 20

modules = pytest.mark.parametrize("module", ["hypercorn", "anycorn"])


@pytest.fixture
def trust(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority)


@pytest.fixture(
    params=["http", *(pytest.param(each, marks=pytest.mark.slow) for each in ("https", "http2"))]
)
def way(request: pytest.FixtureRequest) -> str:
    """Each way to talk to the server."""
    return str(request.param)


@pytest.fixture
async def client(
    way: str, server: Server, trust: ssl.SSLContext
) -> AsyncIterator[httpx.AsyncClient]:
    url = server.urls["http" if way == "http" else "https"]
    async with connect(url, trust, http2=way == "http2") as client:
        yield client


@pytest.fixture
def large(way: str) -> int:
    """How many bytes are many with this protocol."""
    return LARGE_IN_FRAMES if way == "http2" else LARGE


def received_here() -> dict[str, int]:
    return asdict(trio_wsarecv.statistics())


async def ask(client: httpx.AsyncClient, path: str = "/record") -> dict[str, Any]:
    response = await client.get(path)
    response.raise_for_status()
    facts: dict[str, Any] = response.json()
    return facts


async def upload(client: httpx.AsyncClient, content: bytes | AsyncIterator[bytes]) -> Any:
    return (await client.post("/upload", content=content)).json()


@pytest.mark.deadline(55)
async def test_a_large_upload_arrives(client: httpx.AsyncClient, large: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces(large):
            yield piece

    before = (await ask(client))["statistics"]
    facts = await upload(client, body())
    assert (facts["bytes"], facts["sha256"]) == (large, digest(large))
    check_received(before, facts["statistics"], large)


@pytest.mark.deadline(55)
async def test_a_large_download_arrives(client: httpx.AsyncClient, large: int) -> None:
    before = received_here()
    content = (await client.get(f"/download?{large}")).content
    assert (len(content), hashlib.sha256(content).hexdigest()) == (large, digest(large))
    check_received(before, received_here(), large)


async def test_hundreds_of_requests_at_once_get_their_own_answers(
    client: httpx.AsyncClient,
) -> None:
    here, there = received_here(), (await ask(client))["statistics"]

    async def post(number: int) -> None:
        data = b"%d" % number * WIDE
        facts = await upload(client, data)
        assert (facts["bytes"], facts["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())

    async with trio.open_nursery() as nursery:
        for number in range(REQUESTS):
            nursery.start_soon(post, number)
    check_received(there, (await ask(client))["statistics"], REQUESTS * WIDE)
    check_received(here, received_here(), REQUESTS * len('{"bytes": }'))


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize(
    ("path", "head", "then"),
    [
        ("/upload", ("POST /upload", f"Content-Length: {LARGE}"), f"send {MIB}"),
        ("/download", (f"GET /download?{LARGE}", "Accept: */*"), f"hear {MIB}"),
    ],
)
async def test_a_client_that_goes_away_in_mid_body_is_noticed(
    server: Server, peer: HostilePeer, path: str, head: tuple[str, str], then: str, how: str
) -> None:
    request, header = head
    lines = (f"say {request} HTTP/1.1", "say Host: here", f"say {header}", "say")
    url = server.urls["http"]
    async with connect(url) as client:
        before = await ask(client)
        known = len(before["record"])
        async with peer.connect(f"dial {httpx.URL(url).port}", *lines, then) as stream:
            await ask(client, f"/record?{known + 1}")
            await peer.tell(stream, how)
            after = await ask(client, f"/record?{known + 2}")
    assert after["record"][known:] == [f"{path} begun", f"{path} given up"]
    check_received(before["statistics"], after["statistics"], 0, failures=1)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_request_that_runs_out_of_time_is_given_up(
    server: Server, trust: ssl.SSLContext, scheme: str
) -> None:
    async with connect(server.urls[scheme], trust) as client:
        known = len((await ask(client))["record"])
        before = received_here()
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/wait", timeout=httpx.Timeout(30, read=0.05))
        assert received_here()["cancelled"] - before["cancelled"] == on_windows
        record = (await ask(client, f"/record?{known + 2}"))["record"]
        assert record[known:] == ["/wait begun", "/wait given up"]


@modules
async def test_requests_under_way_end_well_when_the_server_is_interrupted(module: str) -> None:
    answers: list[dict[str, Any]] = []
    ending = trio.Event()

    async def body() -> AsyncIterator[bytes]:
        first, *others = pieces(MIB)
        yield first
        await ending.wait()
        for piece in others:
            yield piece

    async def answered(client: httpx.AsyncClient) -> None:
        answers.append(await upload(client, body()))

    with serving("--workers=0", "--graceful-timeout=20", module=module) as server:
        url = httpx.URL(server.urls["http"])
        async with connect(str(url)) as client, trio.open_nursery() as nursery:
            for _ in range(UPLOADS):
                nursery.start_soon(answered, client)
            before = (await ask(client, f"/record?{UPLOADS}"))["statistics"]
            # A server that shuts down closes the connections without a request.
            async with await trio.open_tcp_stream(url.host, url.port or 80) as idle:
                await client.post("/stop")
                assert await idle.receive_some() == b""
            with pytest.raises(httpx.ConnectError):
                async with connect(str(url)) as late:
                    await ask(late)
            assert answers == []
            ending.set()
        server.check_end()
    assert {(each["bytes"], each["sha256"]) for each in answers} == {(MIB, digest(MIB))}
    assert len(answers) == UPLOADS
    last = max((each["statistics"] for each in answers), key=lambda each: each["bytes"])
    # The first piece of each may have arrived before.
    check_received(before, last, UPLOADS * (MIB - PIECE))
    if on_windows:
        assert last["pended"] > 0  # the idle connection never got data


@modules
async def test_worker_processes_receive_overlapped_too(module: str) -> None:
    with serving("--workers=1", module=module) as server:  # one beside the process that was started
        async with connect(server.urls["http"]) as client:
            before = (await ask(client))["statistics"]
            facts = await upload(client, b"".join(pieces(MIB)))
    assert (facts["bytes"], facts["sha256"]) == (MIB, digest(MIB))
    check_received(before, facts["statistics"], MIB)
    if on_windows:
        assert facts["statistics"]["overlapped_sockets"] == 1
