"""Downloads by httpx on Trio: ``http_download.py AUTHORITY``, then a URL on each line."""

from __future__ import annotations

import ssl
import sys

import httpx
import trio

from tests.bench.programs import say


async def main(authority: str) -> None:
    trust = ssl.create_default_context(cafile=authority)
    async with httpx.AsyncClient(verify=trust, timeout=60, trust_env=False) as client:
        with trio.socket.socket() as sock:
            say("sockets", type(sock).__module__.partition(".")[0])
        for line in sys.stdin:
            received = 0
            async with client.stream("GET", line.strip()) as response:
                response.raise_for_status()
                async for piece in response.aiter_bytes():
                    received += len(piece)
            say("received", received)


trio.run(main, sys.argv[1])
