"""trio_wsarecv, used for what it offers beyond Trio."""

from __future__ import annotations

from functools import partial

import trio

import trio_wsarecv
from tests.bench.programs import ANSWER, LARGE, LARGEST_FRAME, LENGTH, ROUND
from tests.bench.programs.trio_program import WORKS, perform


async def bulk(stream: trio_wsarecv.SocketStream) -> None:
    buffer = bytearray(LARGE)
    received = 0
    while size := await stream.receive_into(buffer):
        received += size
        if received >= ROUND:
            received -= ROUND
            await stream.send_all(ANSWER)


async def frames(stream: trio_wsarecv.SocketStream) -> None:
    header = bytearray(LENGTH)
    body = memoryview(bytearray(LARGEST_FRAME))
    try:
        while True:
            await stream.receive_exactly_into(header)
            size = int.from_bytes(header, "big")
            if size:
                await stream.receive_exactly_into(body[:size])
            else:
                await stream.send_all(ANSWER)
    except trio_wsarecv.IncompleteReceiveError:
        pass


works = {**WORKS, "bulk": bulk, "frames": frames}
main = partial(perform, trio_wsarecv.open_tcp_stream, works)

if __name__ == "__main__":
    trio.run(main)
