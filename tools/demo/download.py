"""An ordinary Trio program, which does not know this project: download.py URL FILE."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

import trio
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def download(
    url: str,
    file: BinaryIO,
    stream: trio.abc.Stream,
    receive: Callable[[], Awaitable[bytes | memoryview]],
) -> None:
    """Download a file by HTTP, with the progress on standard error."""
    began = time.perf_counter()
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
    await stream.send_all(request.encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await receive()
        assert data, "the server closed the connection early"
        head += data
    head, _, body = head.partition(b"\r\n\r\n")  # there may be nothing behind it yet
    length = re.search(rb"(?i)^HTTP/1.[01] 200 .*\ncontent-length: (\d+)", head, re.DOTALL)
    assert length, head
    with tqdm(total=int(length[1]), unit="B", unit_scale=True, unit_divisor=1024) as bar:
        bar.update(file.write(body))
        while data := await receive():
            bar.update(file.write(data))
    print(json.dumps({"written": file.tell(), "seconds": time.perf_counter() - began}))


async def main(url: str, file: BinaryIO) -> None:
    address = urlsplit(url)
    async with await trio.open_tcp_stream(address.hostname or "", address.port or 80) as stream:
        await download(url, file, stream, stream.receive_some)


if __name__ == "__main__":
    _, url, path = sys.argv
    with open(path, "wb") as file:
        trio.run(main, url, file)
