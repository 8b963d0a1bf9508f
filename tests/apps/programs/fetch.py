"""Fetches a page with httpx on Trio: ``fetch.py URL AUTHORITY``.  It knows of nothing else."""

import hashlib
import ssl
import sys

import httpx
import trio


async def main(url: str, authority: str) -> None:
    trust = ssl.create_default_context(cafile=authority)
    hash_ = hashlib.sha256()
    async with (
        httpx.AsyncClient(verify=trust, http2=True, timeout=30, trust_env=False) as client,
        client.stream("GET", url) as response,
    ):
        async for piece in response.aiter_bytes():
            hash_.update(piece)
    print(response.http_version, response.num_bytes_downloaded, hash_.hexdigest())


trio.run(main, sys.argv[1], sys.argv[2])
