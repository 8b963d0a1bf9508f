"""What both downloads do alike: the request, the progress on standard error, and the report."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm

if TYPE_CHECKING:
    import trio


class Download:
    """A file to download by HTTP, and how much of it has been written."""

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
            bar_format="   {percentage:3.0f}% |{bar}| {n_fmt}B of {total_fmt}B, {rate_fmt}",
        )
        self.write(body)

    def write(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.bar.update(len(data))

    def report(self) -> None:
        self.bar.close()
        print(json.dumps({"bytes": self.file.tell(), "seconds": time.perf_counter() - self.began}))
