"""A receive that is cancelled, and a next one that is not: cancelled.py HOST PORT.

The server sends back what it receives, so at first nothing arrives.
"""

import ctypes
import json
import sys
from typing import Any

import trio

import trio_wsarecv

assert sys.platform == "win32"

WORD = b"still here"


def result_of(operation: Any) -> int:
    """Ask Windows for the error code of a completed receive."""
    ws2_32 = ctypes.WinDLL("ws2_32", use_last_error=True)
    ws2_32.WSAGetOverlappedResult(
        ctypes.c_size_t(operation.handle),
        ctypes.c_void_p(operation.address),
        ctypes.byref(ctypes.c_uint32()),
        False,
        ctypes.byref(ctypes.c_uint32()),
    )
    return ctypes.get_last_error()


async def main(host: str, port: str) -> None:
    async with await trio_wsarecv.open_tcp_stream(host, int(port)) as stream:
        begin = trio.current_time()
        with trio.move_on_after(0.5) as scope:
            await stream.receive_some()
        seconds = trio.current_time() - begin
        engine: Any = stream.socket.receiver.engine
        report = {
            "pended_first": trio_wsarecv.statistics().pended,
            "caught": scope.cancelled_caught,
            "seconds": seconds,
            "status": engine.operation.status,
            "code": result_of(engine.operation),
        }

        await stream.send_all(WORD)
        report["next"] = (await stream.receive_exactly(len(WORD))) == WORD
        print(json.dumps(report))


_, host, port = sys.argv
trio.run(main, host, port)
