"""A download by httpx on Trio, in parts: ``http_download.py AUTHORITY URL``.

Each line of the standard input is how many bytes more to receive, or few more than that.
"""

from __future__ import annotations

import ssl
import sys

import httpx
import trio

from tests.bench.programs import say


async def main(authority: str, url: str) -> None:
    trust = ssl.create_default_context(cafile=authority)
    async with (
        httpx.AsyncClient(verify=trust, timeout=60, trust_env=False) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        with trio.socket.socket() as sock:
            say("sockets", type(sock).__module__.partition(".")[0])
        pieces = response.aiter_bytes()
        for line in sys.stdin:
            received = 0
            async for piece in pieces:
                received += len(piece)
                if received >= int(line):
                    break
            say("received", received)


trio.run(main, sys.argv[1], sys.argv[2])
