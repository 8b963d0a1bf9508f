"""The web application that the servers serve, ``tests.bench.programs.http_app:app``.

As a program, it has Hypercorn serve it on Trio until its standard input ends.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from tests.bench.programs import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY: Final = b"Hello, world!"
HEADERS: Final = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
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
    serving: Any = partial(serve, app, config, shutdown_trigger=until_told)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serving)
        say("port", url.rpartition(":")[2])


if __name__ == "__main__":
    trio.run(main)
