"""Receives with a Trio stream: ``trio_program.py trio|trio_wsarecv PORT``."""

from __future__ import annotations

import sys

import trio

import trio_wsarecv
from tests.soak.loss.measure import PIECE, Answer, patience


async def receive_all(port: int, answer: Answer) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        while True:
            with trio.move_on_after(patience()) as scope:
                data = await stream.receive_some(PIECE)
            if scope.cancelled_caught:
                answer.cancelled += 1
                continue
            if not data:
                break
            answer.received += len(data)


def main(name: str, port: int) -> None:
    library = f"trio {trio.__version__}"
    if name == "trio_wsarecv":
        trio_wsarecv.patch_trio()
        library = f"trio_wsarecv {trio_wsarecv.__version__}, {library}"
    answer = Answer(library)
    trio.run(receive_all, port, answer)
    calls = trio_wsarecv.statistics().wsarecv_calls
    if sys.platform == "win32" and bool(calls) is not (name == "trio_wsarecv"):
        raise RuntimeError(f"{calls} calls of WSARecv: this was not {name}")
    answer.print()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
