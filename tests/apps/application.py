"""An ASGI application: ``hypercorn tests.apps.application:app``.

It answers with JSON, in which it also says what this process has received so far, and how.

===============  =================================================================
POST /upload     how many bytes came, and their SHA-256
GET /download?N  N bytes, instead of JSON
GET /wait        nothing, until the client gives it up
GET /record?N    which requests of these three kinds have begun, and which were
                 given up, as soon as there are N entries
POST /stop       interrupts the server, as Control-C does
===============  =================================================================
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from typing import Any

import trio

import trio_wsarecv

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PIECE = 64 << 10
record: list[str] = []
recorded = trio.Condition()


def pieces(nbytes: int) -> Iterator[bytes]:
    """Give this many bytes in all, always the same."""
    source = random.Random(nbytes)
    for start in range(0, nbytes, PIECE):
        yield source.randbytes(min(PIECE, nbytes - start))


def digest(nbytes: int) -> str:
    """Return the SHA-256 of what `pieces` gives."""
    return hashlib.sha256(b"".join(pieces(nbytes))).hexdigest()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):  # startup and shutdown
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    argument = int(scope["query_string"] or 0)
    match scope["path"]:
        case "/record":
            async with recorded:
                while len(record) < argument:
                    await recorded.wait()
            await answer(send, record=record)
        case "/stop":
            interrupt()
            await answer(send)
        case path:
            await note(f"{path} begun")
            if not await KINDS[path](receive, send, argument):
                await note(f"{path} given up")


async def note(entry: str) -> None:
    async with recorded:
        record.append(entry)
        recorded.notify_all()


# Each kind returns whether the client has waited for the end.


async def upload(receive: Receive, send: Send, _: int) -> bool:
    content = bytearray()
    message: dict[str, Any] = {"more_body": True}
    while message["more_body"]:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        content += message["body"]
    await answer(send, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return True


async def download(receive: Receive, send: Send, nbytes: int) -> bool:
    complete = False

    async def send_all() -> None:
        nonlocal complete
        await begin(send, b"application/octet-stream", nbytes)
        for piece in pieces(nbytes):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        complete = True
        await send({"type": "http.response.body"})
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all)
        await wait(receive, send, 0)
        nursery.cancel_scope.cancel()
    return complete


async def wait(receive: Receive, _send: Send, _: int) -> bool:
    while (await receive())["type"] != "http.disconnect":
        pass
    return False


KINDS = {"/upload": upload, "/download": download, "/wait": wait}


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
