"""A program that runs Hypercorn on Trio itself, until its standard input ends."""

from __future__ import annotations

import sys
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from tests.bench.programs import say
from tests.bench.programs.http_app import app


async def main() -> None:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    until_told = partial(trio.to_thread.run_sync, sys.stdin.read)
    serving = partial(serve, app, config, shutdown_trigger=until_told)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serving)
        say("port", url.rpartition(":")[2])


if __name__ == "__main__":
    trio.run(main)
