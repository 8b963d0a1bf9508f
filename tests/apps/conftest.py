"""The certificate and the server that the tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

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
