"""The same download by `SocketStream.receive_into`, with one buffer: receive_into.py URL FILE."""

import sys
from typing import BinaryIO
from urllib.parse import urlsplit

import trio

import trio_wsarecv
from tools.demo.download import download

BUFFER_SIZE = 256 * 1024


async def main(url: str, file: BinaryIO) -> None:
    buffer = memoryview(bytearray(BUFFER_SIZE))
    address = urlsplit(url)
    stream = await trio_wsarecv.open_tcp_stream(address.hostname or "", address.port or 80)

    async def receive() -> memoryview:
        return buffer[: await stream.receive_into(buffer)]

    async with stream:
        await download(url, file, stream, receive)


if __name__ == "__main__":
    _, url, path = sys.argv
    with open(path, "wb") as file:
        trio.run(main, url, file)
