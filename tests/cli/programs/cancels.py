"""Receives with a deadline that is usually too short, and misses nothing."""

import functools
import hashlib
import random

import trio

DATA = random.Random(0).randbytes(300_000)


async def send_slowly(stream: trio.SocketStream) -> None:
    async with stream:
        for start in range(0, len(DATA), 3000):
            await stream.send_all(DATA[start : start + 3000])
            await trio.sleep(random.random() / 500)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        serve = functools.partial(trio.serve_tcp, send_slowly, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        stream = await trio.open_tcp_stream(*listener.socket.getsockname())
        async with stream:
            digest = hashlib.sha256()
            while True:
                data = None
                with trio.move_on_after(random.random() / 500):
                    data = await stream.receive_some()
                if data:
                    digest.update(data)
                if data == b"":
                    break
        assert digest.digest() == hashlib.sha256(DATA).digest()
        print(digest.hexdigest())
        nursery.cancel_scope.cancel()


trio.run(main)
