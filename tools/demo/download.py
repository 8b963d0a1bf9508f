"""An ordinary Trio program, which knows nothing of this project: download.py URL FILE."""

import json
import sys
import time
from typing import BinaryIO
from urllib.parse import urlsplit

import trio

from tools.demo.progress import progress


async def main(url: str, file: BinaryIO) -> None:
    parts = urlsplit(url)
    begin = time.perf_counter()
    stream = await trio.open_tcp_stream(parts.hostname or "", parts.port or 80)
    async with stream:
        request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
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

        with progress(int(headers["content-length"])) as bar:
            file.write(body)
            bar.update(len(body))
            while data := await stream.receive_some():
                file.write(data)
                bar.update(len(data))
            print(json.dumps({"bytes": file.tell(), "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    _, url, path = sys.argv
    with open(path, "wb") as file:
        trio.run(main, url, file)
