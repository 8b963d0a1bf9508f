"""An ordinary Trio program, which does not know this project: download.py URL FILE."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import BinaryIO
from urllib.parse import urlsplit

import trio
from tqdm import tqdm


class Download:
    """A file to download by HTTP, with its progress on standard error."""

    def __init__(self, url: str, file: BinaryIO) -> None:
        self.parts = urlsplit(url)
        self.host, self.port = self.parts.hostname or "", self.parts.port or 80
        self.file = file
        self.began = time.perf_counter()

    async def request(self, stream: trio.abc.Stream) -> None:
        """Request the file, and write the first bytes of it."""
        request = f"GET {self.parts.path} HTTP/1.0\r\nHost: {self.parts.netloc}\r\n\r\n"
        await stream.send_all(request.encode("ascii"))
        response = b""
        while b"\r\n\r\n" not in response:
            data = await stream.receive_some()
            if not data:
                sys.exit("the server closed the connection early")
            response += data
        head, _, body = response.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        if status.split()[1] != "200":
            sys.exit(status)
        headers = dict(field.lower().split(": ", 1) for field in fields)
        # Under Wine, this program always writes to a pipe.  COLUMNS says how wide the terminal at
        # the other end is, if there is one.
        columns = int(os.environ.get("COLUMNS", "0"))
        self.bar = tqdm(
            total=int(headers["content-length"]),
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            mininterval=0.05 if columns else 1.0,
            ncols=columns or 79,
        )
        self.write(body)

    def write(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.bar.update(len(data))

    def report(self) -> None:
        self.bar.close()
        print(
            json.dumps({"written": self.file.tell(), "seconds": time.perf_counter() - self.began})
        )


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
