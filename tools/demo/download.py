"""An ordinary Trio program, which does not know this project: download.py URL FILE."""

import sys
from typing import BinaryIO

import trio

from tools.demo.transfer import Download


async def main(url: str, file: BinaryIO) -> None:
    download = Download(url, file)
    async with await trio.open_tcp_stream(download.host, download.port) as stream:
        await download.request(stream)
        while data := await stream.receive_some():
            download.write(data)
    download.report()


if __name__ == "__main__":
    _, url, path = sys.argv
    with open(path, "wb") as file:
        trio.run(main, url, file)
