"""The same download by `SocketStream.receive_into`, with one buffer: receive_into.py URL FILE."""

import sys
from typing import BinaryIO

import trio

import trio_wsarecv
from tools.demo.download import Download

BUFFER_SIZE = 256 * 1024


async def main(url: str, file: BinaryIO) -> None:
    download = Download(url, file)
    buffer = memoryview(bytearray(BUFFER_SIZE))
    async with await trio_wsarecv.open_tcp_stream(download.host, download.port) as stream:
        await download.request(stream)
        while received := await stream.receive_into(buffer):
            download.write(buffer[:received])
    download.report()


if __name__ == "__main__":
    _, url, path = sys.argv
    with open(path, "wb") as file:
        trio.run(main, url, file)
