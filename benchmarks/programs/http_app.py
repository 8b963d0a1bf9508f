"""The web application of all servers, ``benchmarks.programs.http_app:app``.

Run as a program, it is served by Hypercorn on Trio until its standard input ends.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Final

import trio

from benchmarks.programs import say

BODY: Final = b"Hello, world!"
HEADERS: Final = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: Any, receive: Any, send: Any) -> None:
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def main() -> None:
    from hypercorn.config import Config
    from hypercorn.trio import serve

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    until_told = partial(trio.to_thread.run_sync, sys.stdin.read)
    serving: Any = partial(serve, app, config, shutdown_trigger=until_told)
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serving)
        say("port", url.rpartition(":")[2])


if __name__ == "__main__":
    trio.run(main)
