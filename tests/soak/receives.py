"""Every call that receives bytes from a stream, with checks of its buffers."""

from __future__ import annotations

import random

from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, wsarecv

WAYS = ("receive_some", "recv", "receive_into", "exactly", "exactly_into", "scattered")
SIZES = (1, 2, 100, 1500, 10_000, 65_536)
CANARY = b"\xa5" * 64


class BufferFault(Exception):
    """A buffer was written to in the wrong place, or is exported for too long."""


async def receive(how: str, stream: SocketStream, rng: random.Random) -> bytes:
    """Receive by this call; check that nothing is written behind a buffer or stays exported."""
    size = rng.choice(SIZES)
    buffer = bytearray(size) + CANARY
    parts = [bytearray(rng.choice((0, 1, 3, 1000))) for _ in range(rng.randrange(1, 5))]
    parts.append(bytearray(size))
    try:
        match how:
            case "receive_some":
                return await stream.receive_some(rng.choice((None, size)))
            case "recv":
                return await stream.socket.recv(size)
            case "receive_into":
                return bytes(buffer[: await stream.receive_into(buffer, size)])
            case "exactly":
                return await stream.receive_exactly(size)
            case "exactly_into":
                with memoryview(buffer)[:size] as view:
                    await stream.receive_exactly_into(view)
                return bytes(buffer[:size])
        flags = rng.choice((MsgFlag(0), MsgFlag.MSG_WAITALL))
        received, _ = await wsarecv(stream.socket, parts, flags)
        return b"".join(parts)[:received]
    except IncompleteReceiveError as exc:
        return exc.partial
    finally:
        if not buffer.endswith(CANARY):
            raise BufferFault("something wrote behind the bytes asked for")
        try:
            for each in (buffer, *parts):
                each.append(0)
        except BufferError:
            raise BufferFault("a buffer is still exported") from None
