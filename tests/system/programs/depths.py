"""Receives at every depth of the stack, down to the last frame, in one `trio.run`.

usage: depths.py CALL inline|waits

A receive with too little stack raises, and loses no data.  Prints "ok" at the end.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

import trio_wsarecv

LIMIT = 200
FRAMES = range(LIMIT - 130, LIMIT - 2)  # of the program's own; Trio and the package need the rest
DATA = b"data"
STREAMS = {"recv", "recv adopted", "recv peek", "recv_into", "wsarecv", "receive_some", "exactly"}
STREAMS |= {"exactly cancelled", "recv drained"}
DRAINED = bytes(range(256)) * 10  # more than the first receive that waits has room for


async def at_depth(frames: int, call: Callable[[], Awaitable[Any]]) -> Any:
    return await (at_depth(frames - 1, call) if frames else call())


async def pair(kind: str) -> tuple[trio_wsarecv.Socket, socket.socket]:
    """Return a socket of the package and the socket that sends to it."""
    if kind not in STREAMS:
        sock = trio_wsarecv.SocketFactory().socket(type=socket.SOCK_DGRAM)
        await sock.bind(("127.0.0.1", 0))
        sender = socket.socket(type=socket.SOCK_DGRAM)
        sender.connect(sock.getsockname())
        return sock, sender
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if "adopted" in kind:  # in default mode
            sock = trio_wsarecv.from_stdlib_socket(socket.create_connection(listener.getsockname()))
        else:
            sock = trio_wsarecv.SocketFactory().socket()
            await sock.connect(listener.getsockname())
        return sock, listener.accept()[0]


def call_of(kind: str, sock: trio_wsarecv.Socket) -> Callable[[], Awaitable[Any]]:
    buffers = [bytearray(2), bytearray(10)]
    stream = trio_wsarecv.SocketStream(sock) if kind in STREAMS else None
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "recv": lambda: sock.recv(100),
        "recv adopted": lambda: sock.recv(100),
        "recv drained": lambda: sock.recv(len(DRAINED)),
        "recv peek": lambda: sock.recv(100, socket.MSG_PEEK),
        "recv_into": lambda: sock.recv_into(buffers[1]),
        "wsarecv": lambda: trio_wsarecv.wsarecv(sock, buffers),
        "recvfrom": lambda: sock.recvfrom(100),
        "recvfrom_into": lambda: sock.recvfrom_into(buffers[1]),
        "recvmsg": lambda: sock.recvmsg(100, 100),
        "recvmsg_into": lambda: sock.recvmsg_into(buffers, 100),
        "recvfrom_many": lambda: sock.recvfrom_many(10, 100),
    }
    if stream is not None:
        calls["receive_some"] = stream.receive_some
        calls["exactly"] = lambda: stream.receive_exactly(len(DATA))
        calls["exactly cancelled"] = lambda: stream.receive_exactly_into(bytearray(2 * len(DATA)))
    return calls[kind]


async def check(kind: str, frames: int, *, waits: bool, used: bool) -> bool:
    """Receive at one depth; return whether the stack was enough."""
    sock, sender = await pair(kind)
    call = call_of(kind, sock)
    if used:  # what a socket creates at its first receive exists then
        for _ in range(2):
            sender.send(DATA)
            await sock.recv(100)
    sent = {"recvfrom_many": [DATA, b"more"], "recv drained": [DRAINED]}.get(kind, [DATA])
    enough, received, drained = None, 0, b""

    async def receive() -> None:
        nonlocal enough, received, drained
        try:
            result = await at_depth(frames, call)
        except (RecursionError, trio.Cancelled) as exc:
            enough = isinstance(exc, trio.Cancelled)
        else:
            enough, received = True, len(result) if kind == "recvfrom_many" else 1
            drained = result if kind == "recv drained" else b""

    async with trio.open_nursery() as nursery:
        if waits:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
        for data in sent:
            sender.send(data)
        if not waits:
            nursery.start_soon(receive)
        if "cancelled" in kind:
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    while kind == "recv drained" and len(drained) < len(DRAINED):
        received = 1
        drained += await sock.recv(len(DRAINED))
    assert drained in (b"", DRAINED)
    for data in sent if "peek" in kind else sent[received:]:
        try:
            left = await sock.recv(100)
        except RecursionError:  # of a batch, whose error the next receive raises
            left = await sock.recv(100)
        assert left == data, "lost"
    sock.close()
    sender.close()
    assert enough is not None
    return enough


async def main(kind: str, waits: bool) -> None:
    outcomes = []
    for used in (False, True):
        for frames in FRAMES:
            with trio.fail_after(10):
                outcomes.append(await check(kind, frames, waits=waits, used=used))
    assert sys.getrecursionlimit() == LIMIT
    assert set(outcomes) == {False, True}


if __name__ == "__main__":
    sys.setrecursionlimit(LIMIT)
    trio.run(main, sys.argv[1], sys.argv[2] == "waits")
    print("ok")
