"""Download with httpx on Trio: ``fetch.py URL``."""

import hashlib
import sys

import httpx
import trio

import trio_wsarecv


async def main(url: str) -> None:
    trio_wsarecv.install()
    digest = hashlib.sha256()
    async with httpx.AsyncClient(http2=True) as client, client.stream("GET", url) as response:
        async for chunk in response.aiter_bytes():
            digest.update(chunk)
    print(response.http_version, response.num_bytes_downloaded, digest.hexdigest())


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
