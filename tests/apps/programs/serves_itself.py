"""Runs Hypercorn within the program, and asks it: ``serves_itself.py CERTIFICATE AUTHORITY``."""

import ssl
import sys
from functools import partial

import httpx
import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from tests.apps.application import app


async def main(certificate: str, authority: str) -> None:
    config = Config()
    config.bind = "127.0.0.1:0"
    config.certfile = config.keyfile = certificate
    config.errorlog = None
    trust = ssl.create_default_context(cafile=authority)
    enough = trio.Event()
    async with trio.open_nursery() as nursery:
        serving = partial(serve, app, config, shutdown_trigger=enough.wait)  # type: ignore[arg-type]
        (url,) = await nursery.start(serving)
        async with httpx.AsyncClient(base_url=url, verify=trust, trust_env=False) as client:
            for length in (1, 100_000):
                facts = (await client.post("/upload", content=bytes(length))).json()
                print(facts["bytes"], facts["sha256"])
        enough.set()
    print("served")


trio.run(main, sys.argv[1], sys.argv[2])
