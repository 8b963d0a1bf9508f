"""A receive with too little stack fails alone: the run goes on, and no data is lost."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import connected_datagrams
from tests.peers import pattern, socket_pair
from tests.receiving import RECEIVES
from tests.simulation import Call

LIMIT = 200
FRAMES = range(LIMIT - 70, LIMIT - 2)  # of the receive's own; Trio and the package need the rest
DATA = pattern(100)  # as many bytes as each call takes
MUCH = pattern(2500)  # more than the first receive that waits has room for
END = b"end"

#: Those that begin with "receive" take a `SocketStream`, which needs more frames to be made.
STREAMS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    **{how: RECEIVES[how] for how in ("recv", "recv_into", "wsarecv")},
    "recv, adopted": lambda sock: sock.recv(100),
    "recv, much": lambda sock: sock.recv(len(MUCH)),
    "recv, MSG_PEEK": lambda sock: sock.recv(100, socket.MSG_PEEK),
    "receive_exactly": lambda stream: stream.receive_exactly(100),
    "receive_exactly_into, cancelled": lambda stream: stream.receive_exactly_into(bytearray(101)),
}
DATAGRAMS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    **{how: RECEIVES[how] for how in ("recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")},
    "recvfrom_many": lambda sock: sock.recvfrom_many(10, 100),
}


async def at_depth(frames: int, call: Callable[[], Awaitable[Any]]) -> Any:
    return await (at_depth(frames - 1, call) if frames else call())


def frames_left() -> int:
    """Return how many frames are left to the recursion limit."""
    try:
        return frames_left() + 1
    except RecursionError:
        return 0


def bytes_in(result: Any) -> int:
    """Return how many bytes a receive has given."""
    match result:
        case bytes():
            return len(result)
        case list():
            return sum(map(bytes_in, result))
        case tuple():
            return bytes_in(result[0])
    return len(DATA) if result is None else int(result)


async def check(how: str, frames: int, *, is_stream: bool, waits: bool, used: bool) -> bool:
    """Receive at one depth; return whether the stack was enough."""
    receive = (STREAMS if is_stream else DATAGRAMS)[how]
    sent = {"recv, much": [MUCH], "recvfrom_many": [DATA, b"more"]}.get(how, [DATA])
    with socket_pair() if is_stream else connected_datagrams() as (sock, sender):
        sock.receiver.made_here = "adopted" not in how  # else it is in default mode
        target = trio_wsarecv.SocketStream(sock) if how.startswith("receive") else sock
        if used:  # what a socket creates at its first receive exists then
            for _ in range(2):
                sender.send(DATA)
                await sock.recv(100)
        async with trio.open_nursery() as nursery:
            if not waits:
                for data in sent:
                    sender.send(data)
            call = Call(nursery, at_depth, frames, lambda: receive(target))
            if waits:
                await wait_all_tasks_blocked()
                for data in sent:
                    sender.send(data)
            if "cancelled" in how:
                await wait_all_tasks_blocked()
                call.scope.cancel()
        if not (call.succeeded or call.cancelled):
            assert isinstance(call.error, RecursionError)
        taken = bytes_in(call.value) if call.succeeded and "PEEK" not in how else 0
        sender.send(END)
        left = b""
        while not left.endswith(END):
            with suppress(RecursionError):  # of a batch, whose error the next receive raises
                left += await sock.recv(5000)
        assert left == b"".join(sent)[taken:] + END
        return call.succeeded or call.cancelled


@pytest.mark.parametrize("waits", [False, True], ids=["inline", "waits"])
@pytest.mark.parametrize(
    ("is_stream", "how"), [*((True, how) for how in STREAMS), *((False, how) for how in DATAGRAMS)]
)
def test_a_receive_at_any_stack_depth_succeeds_or_fails_alone(
    is_stream: bool, how: str, waits: bool
) -> None:
    async def main() -> None:
        for used in (False, True):
            for frames in FRAMES:
                with trio.fail_after(10):
                    enough = await check(how, frames, is_stream=is_stream, waits=waits, used=used)
                outcomes.append(enough)

    outcomes: list[bool] = []
    tracer, before = sys.gettrace(), sys.getrecursionlimit()
    sys.settrace(None)  # measuring coverage takes frames, too
    limit = before - frames_left() + LIMIT
    sys.setrecursionlimit(limit)
    try:
        trio.run(main)
        assert sys.getrecursionlimit() == limit
    finally:
        sys.setrecursionlimit(before)
        sys.settrace(tracer)
    assert set(outcomes) == {False, True}
