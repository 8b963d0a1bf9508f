"""The server that the tests share, and clients of it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

import httpx
import pytest

import trio_wsarecv
from tests.peers import peer as peer

from .certificates import Certificates, create
from .servers import FREE, Server, serving


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def server(certificates: Certificates) -> Iterator[Server]:
    """One server for all tests, which must exit without errors after them."""
    files = (f"--certfile={certificates.server}", f"--keyfile={certificates.server}")
    with serving("--workers=0", *files, f"--insecure-bind={FREE}", addresses=2) as server:
        yield server
        with suppress(httpx.HTTPError):  # it has ended already; the log says why
            httpx.post(f"{server.urls['http']}/stop", trust_env=False)
        server.check_end()


class Connect(Protocol):
    def __call__(
        self, url: str, *, http2: bool = False
    ) -> AbstractAsyncContextManager[httpx.AsyncClient]: ...


@pytest.fixture
def connect(certificates: Certificates) -> Connect:
    """Return a function that gives a client, on sockets of this package."""
    trust = ssl.create_default_context(cafile=certificates.authority)

    @asynccontextmanager
    async def connect(url: str, *, http2: bool = False) -> AsyncIterator[httpx.AsyncClient]:
        trio_wsarecv.install()
        async with httpx.AsyncClient(
            base_url=url, verify=trust, http2=http2, timeout=30, trust_env=False
        ) as client:
            yield client

    return connect


@pytest.fixture(
    params=[
        "http",
        pytest.param("https", marks=pytest.mark.slow),
        pytest.param("http2", marks=pytest.mark.slow),
    ]
)
def way(request: pytest.FixtureRequest) -> str:
    """Each way to talk to the server."""
    return str(request.param)


@pytest.fixture
async def client(way: str, server: Server, connect: Connect) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server that all share."""
    http2 = way == "http2"
    async with connect(server.urls["https" if http2 else way], http2=http2) as client:
        yield client
