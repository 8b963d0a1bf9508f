"""An ASGI application: ``hypercorn tests.apps.application:app``.

It answers with JSON, in which it also says what this process has received so far, and how.

================  =======================================================================
POST /upload      how many bytes came, and their SHA-256
GET /download?N   N bytes, instead of JSON
GET /wait         nothing, until the client gives it up
GET /begun?N      the requests of these three kinds that have begun, once there are N of them
GET /gone?N       those of them whose clients did not wait for their end, once there are N
POST /stop        interrupts the server, as Control-C does
================  =======================================================================
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import trio

import trio_wsarecv

from .content import pieces

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Record(list[str]):
    """A list of paths; tasks can wait until it is so long."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = trio.Event()

    def add(self, path: str) -> None:
        self.append(path)
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self, number: int) -> list[str]:
        while len(self) < number:
            await self._changed.wait()
        return self


begun, gone = Record(), Record()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):  # startup and shutdown
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    path, argument = scope["path"], int(scope["query_string"] or 0)
    if path in ("/upload", "/download", "/wait"):
        begun.add(path)
    match path:
        case "/upload":
            await upload(receive, send)
        case "/download":
            await download(receive, send, argument)
        case "/wait":
            await wait_for_end(receive)
            gone.add(path)
        case "/begun":
            await answer(send, begun=await begun.wait(argument))
        case "/gone":
            await answer(send, gone=await gone.wait(argument))
        case "/stop":
            interrupt()
            await answer(send)


async def upload(receive: Receive, send: Send) -> None:
    hash_ = hashlib.sha256()
    nbytes = 0
    message: dict[str, Any] = {"more_body": True}
    while message["more_body"]:
        message = await receive()
        if message["type"] == "http.disconnect":
            gone.add("/upload")
            return
        hash_.update(message["body"])
        nbytes += len(message["body"])
    await answer(send, bytes=nbytes, sha256=hash_.hexdigest())


async def download(receive: Receive, send: Send, nbytes: int) -> None:
    async def notice_end() -> None:
        await wait_for_end(receive)
        if not complete:
            gone.add("/download")
        nursery.cancel_scope.cancel()

    complete = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notice_end)
        await begin(send, b"application/octet-stream", nbytes)
        for piece in pieces(nbytes):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        complete = True
        await send({"type": "http.response.body"})
        nursery.cancel_scope.cancel()


async def wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer(send: Send, **facts: Any) -> None:
    facts["statistics"] = asdict(trio_wsarecv.statistics())
    body = json.dumps(facts).encode()
    await begin(send, b"application/json", len(body))
    await send({"type": "http.response.body", "body": body})


async def begin(send: Send, kind: bytes, nbytes: int) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % nbytes)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


@trio.lowlevel.enable_ki_protection
def interrupt() -> None:
    """Interrupt the server: Trio delivers it to the main task, not to this one."""
    signal.raise_signal(signal.SIGINT)
