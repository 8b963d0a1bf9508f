"""The same download by `SocketStream.receive_into`, with one buffer: receive_into.py URL FILE."""

import json
import sys
import time
from typing import BinaryIO
from urllib.parse import urlsplit

import trio

import trio_wsarecv
from tools.demo.progress import progress

BUFFER_SIZE = 256 * 1024


async def main(url: str, file: BinaryIO) -> None:
    parts = urlsplit(url)
    begin = time.perf_counter()
    stream = await trio_wsarecv.open_tcp_stream(parts.hostname or "", parts.port or 80)
    async with stream:
        request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
        await stream.send_all(request.encode("ascii"))

        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await stream.receive_exactly(1)
        status, *fields = head.decode("latin-1").strip().split("\r\n")
        if status.split()[1] != "200":
            sys.exit(status)
        headers = dict(field.lower().split(": ", 1) for field in fields)

        buffer = memoryview(bytearray(BUFFER_SIZE))
        with progress(int(headers["content-length"])) as bar:
            while received := await stream.receive_into(buffer):
                file.write(buffer[:received])
                bar.update(received)
            print(json.dumps({"bytes": file.tell(), "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    _, url, path = sys.argv
    with open(path, "wb") as file:
        trio.run(main, url, file)
