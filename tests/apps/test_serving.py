"""Servers that are interrupted during requests, and servers with worker processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from .conftest import Connect
from .content import PIECE, digest, pieces
from .servers import check_received, on_windows, serving

MIB = 1 << 20
UPLOADS = 20
MODULES = ("hypercorn", "anycorn")


@pytest.mark.parametrize("module", MODULES)
async def test_requests_under_way_end_well_when_the_server_is_interrupted(
    module: str, connect: Connect
) -> None:
    answers: list[dict[str, Any]] = []
    ending = trio.Event()

    async def body() -> AsyncIterator[bytes]:
        first, *others = pieces(MIB)
        yield first
        await ending.wait()
        for piece in others:
            yield piece

    async def upload() -> None:
        response = await client.post("/upload", content=body())
        answers.append(response.json())

    with serving("--workers=0", "--graceful-timeout=20", module=module) as server:
        url = httpx.URL(server.urls["http"])
        async with connect(str(url)) as client, trio.open_nursery() as nursery:
            for _ in range(UPLOADS):
                nursery.start_soon(upload)
            before = (await client.get(f"/begun?{UPLOADS}")).json()["statistics"]
            # A server that shuts down closes the connections without a request.
            async with await trio.open_tcp_stream(url.host, url.port or 80) as idle:
                await client.post("/stop")
                assert await idle.receive_some() == b""
            with pytest.raises(httpx.ConnectError):
                async with connect(str(url)) as late:
                    await late.get("/begun")
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


@pytest.mark.parametrize("module", MODULES)
async def test_worker_processes_receive_overlapped_too(module: str, connect: Connect) -> None:
    with serving("--workers=1", module=module) as server:  # one beside the process that was started
        async with connect(server.urls["http"]) as client:
            before = (await client.get("/begun")).json()["statistics"]
            content = b"".join(pieces(MIB))
            facts = (await client.post("/upload", content=content)).json()
    assert (facts["bytes"], facts["sha256"]) == (MIB, digest(MIB))
    check_received(before, facts["statistics"], MIB)
    if on_windows:
        assert facts["statistics"]["overlapped_sockets"] == 1
